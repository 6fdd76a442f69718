"""What a run leaves behind besides its checkpoint: settings and figures as JSON."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "torch",
    "torchvision",
    "onedl-mmcv",
    "onedl-mmengine",
    "onedl-mmsegmentation",
    "albumentations",
    "numpy",
)


def versions() -> dict[str, str]:
    """Versions of Python, the platform and the packages that results depend on."""
    import cmim

    found = {
        "cmim": cmim.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def peak_memory_gb() -> float:
    """Largest resident memory so far of this process and of its largest child, GB."""
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    total = sum(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return round(total * unit / 1e9, 2)


def write_json(path: str | Path, content: dict[str, Any] | list[Any]) -> None:
    """Write a dictionary or list as JSON, whole or not at all.

    Args:
        path: Target; its folder is made.
        content: Plain values.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(content, indent=2, default=str) + "\n")
    os.replace(temporary, path)
