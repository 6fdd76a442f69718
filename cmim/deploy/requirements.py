"""Optional packages of the extra ``deploy``."""

from importlib.util import find_spec


def require_openvino() -> None:
    """Say what to install where OpenVINO is missing.

    Raises:
        ImportError: It is missing.
    """
    if find_spec("openvino") is None:
        raise ImportError(
            "exported networks run in OpenVINO, which is not installed: "
            "pip install 'cmim[deploy]', or pip install openvino"
        )


def require_onnx() -> None:
    """Say what to install where torch's ONNX exporter cannot run.

    Raises:
        ImportError: A package that it needs is missing.
    """
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ImportError(
            f".onnx files are written with {' and '.join(missing)}, not installed: "
            "pip install 'cmim[deploy]', or pip install onnx onnxscript"
        )
