"""What a run leaves behind besides its checkpoint: settings and figures as JSON."""

from __future__ import annotations

import inspect
import json
import math
import platform
import resource
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypedDict

from mmseg.registry import MODELS

from cmim.hooks.record_timing import TimingFigures
from cmim.whole_output import write_whole

PACKAGES = (
    "torch",
    "torchvision",
    "onedl-mmcv",
    "onedl-mmengine",
    "onedl-mmsegmentation",
    "albumentations",
    "numpy",
    "opencv-python-headless",
    "scipy",
)


class RunRecord(TypedDict):
    """How a run was started: ``run.json``, of which later runs read the commands.

    Attributes:
        commands: Command lines, that of the first start first.
        config: Its file.
        seed: As the config says; the one that was drawn once the run has begun.
        precision: Of the forward pass.
        device: Of the leading process.
        threads: CPU threads of torch.
        versions: By package.
    """

    commands: list[str]
    config: str
    seed: int | None
    precision: str
    device: str
    threads: int
    versions: dict[str, str]


class RunFigures(TimingFigures, total=False):
    """What a run has come to: ``metrics.json``, and what records of suites keep.

    Attributes:
        network: Encoder and its options, see :func:`network_of`.
        seed: Of the run.
        steps: That were trained.
        test: Metrics of the final test by name, see
            :func:`cmim.engine.evaluate.evaluate`; absent without one.
        peak_memory_gb: Of the process and its largest child.
        peak_gpu_memory_gb: Of a GPU, where one was used.
    """

    network: dict[str, Any]
    seed: int
    steps: int
    test: dict[str, Any]
    peak_memory_gb: float
    peak_gpu_memory_gb: float


def network_of(task_model: dict) -> dict[str, Any]:
    """Which network a result belongs to: encoder, method, shortcuts and the like.

    Args:
        task_model: Config of a task model.

    Returns:
        The encoder's name and its options, defaults included, less those of
        initialisation.

    Examples:
        >>> from cmim.encoders import BinaryResNet
        >>> found = network_of(dict(backbone=dict(type=BinaryResNet, depth=20)))
        >>> found["encoder"], found["depth"], found["method"], found["shortcuts"]
        ('BinaryResNet', 20, 'bireal', 'per_conv')
    """
    options = dict(task_model["backbone"])
    kind = options.pop("type")
    encoder = MODELS.get(kind) if isinstance(kind, str) else kind
    parameters = inspect.signature(encoder).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    network = {"encoder": encoder.__name__, **defaults, **options}
    return {k: v for k, v in network.items() if k not in ("init_from", "init_cfg")}


def one_name(network: dict[str, Any]) -> str:
    """A network in a few words, as results state it.

    Examples:
        >>> one_name(dict(encoder="BinaryResNet", depth=20, method="bireal",
        ...               shortcuts="per_conv", stem=None))
        'BinaryResNet depth=20 method=bireal shortcuts=per_conv'
    """
    shown = ("depth", "method", "shortcuts")
    parts = [f"{key}={network[key]}" for key in shown if key in network]
    return " ".join([network["encoder"], *parts])


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


def finite(content: Any) -> Any:
    """Plain values with None in place of numbers that are not finite.

    Examples:
        >>> finite({"rmse": float("nan"), "all": [1.0, float("inf")]})
        {'rmse': None, 'all': [1.0, None]}
    """
    if isinstance(content, dict):
        return {name: finite(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    return (
        None if isinstance(content, float) and not math.isfinite(content) else content
    )


def write_json(path: str | Path, content: Mapping[str, Any] | list[Any]) -> None:
    """Write a dictionary or list as JSON, whole or not at all.

    NaN and infinity, which JSON has not, become null.

    Args:
        path: Target; its folder is made.
        content: Plain values.
    """
    text = json.dumps(finite(content), indent=2, default=str, allow_nan=False)
    write_whole(path, text + "\n")
