"""Packages that only some tools need. Imports the standard library only."""

from importlib.util import find_spec

# The extra of setup.cfg that brings a package; all others come with cmim itself.
EXTRAS = {
    "openvino": "deploy",
    "onnx": "deploy",
    "onnxscript": "deploy",
    "nncf": "int8",
    "onnxruntime": "rivals",
    "qonnx": "fpga",
    "sklearn": "analysis",
    "tensorboard": "analysis",
    "ray": "cluster",
    "timm": "encoders",
    "imagecorruptions": "robustness",
    "fastapi": "serve",
    "uvicorn": "serve",
}
# Where the package index has another name than the import.
_INDEX_NAMES = {
    "sklearn": "scikit-learn",
    "imagecorruptions": "imagecorruptions-imaug",
}


def is_installed(name: str) -> bool:
    """Whether a package can be imported.

    Args:
        name: As it is imported.

    Examples:
        >>> is_installed("torch"), is_installed("no_such_package")
        (True, False)
    """
    return find_spec(name) is not None


def require_packages(purpose: str, *names: str, instead: str = "") -> None:
    """Say what to install where a package is missing.

    Args:
        purpose: What needs the packages, for the message.
        names: The packages, as they are imported.
        instead: What else the user can do.

    Raises:
        ImportError: One of them or more are missing.

    Examples:
        >>> require_packages("training", "torch")
        >>> require_packages("this example", "torch", "no_such_package")
        Traceback (most recent call last):
        ImportError: this example needs no_such_package, not installed: pip install ...
    """
    missing = [name for name in names if not is_installed(name)]
    if missing:
        raise ImportError(
            f"{purpose} needs {' and '.join(missing)}, not installed: "
            f"{how_to_install(*missing)}{instead and f', or {instead}'}"
        )


def how_to_install(*names: str) -> str:
    """The commands that install packages, with an extra where there is one.

    Args:
        names: As they are imported.

    Examples:
        >>> how_to_install("onnx", "onnxscript")
        "pip install 'cmim[deploy]', or pip install onnx onnxscript"
    """
    extras = sorted({EXTRAS[name] for name in names if name in EXTRAS})
    extra = f"pip install 'cmim[{','.join(extras)}]', or " if extras else ""
    return f"{extra}pip install {' '.join(_INDEX_NAMES.get(n, n) for n in names)}"
