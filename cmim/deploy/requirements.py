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
