"""What trained binary networks' activations carry, several checkpoints side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from torch import Tensor
from tqdm import tqdm

from cmim.analysis.analysis_picture import draw_layers, draw_points
from cmim.analysis.embedding import tsne
from cmim.analysis.flip_picture import draw_flips
from cmim.analysis.layer_report import LayerSample, measure_layer
from cmim.analysis.pixel_sample import PixelSample
from cmim.contrast import binarizer_names
from cmim.deploy.formats import format_of
from cmim.engine.config import ConfigError, task_model_config
from cmim.engine.config_place import named_part
from cmim.engine.evaluate import load_task_model
from cmim.engine.record import write_json
from cmim.inspect.compare_gradients import compare_gradients
from cmim.inspect.read_activations import (
    LAST,
    Activations,
    HeldOut,
    read_activations,
    read_twin,
)
from cmim.json_file import read_json
from cmim.models.twin import load_teacher
from cmim.task_model import describe

# Images of a dense task, and of a classifier: fewer pixels of more images there.
IMAGES, PICTURES = 96, 1024
# Points that a t-SNE picture still shows apart.
POINTS = 1000


def label_checkpoints(
    paths: Sequence[str], labels: Sequence[str] | None = None
) -> dict[str, str]:
    """Names for checkpoints: those given, else the folders they lie in.

    Args:
        paths: Checkpoints.
        labels: As many names, or None.

    Raises:
        ConfigError: Another number of names, or the same name twice.

    Examples:
        >>> label_checkpoints(["runs/none/last.pth", "runs/latent/last.pth"])
        {'none': 'runs/none/last.pth', 'latent': 'runs/latent/last.pth'}
    """
    names = list(labels or (Path(path).absolute().parent.name for path in paths))
    if len(names) != len(paths):
        raise ConfigError(
            f"{len(names)} labels for {len(paths)} checkpoints; give one each"
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(
            f"two checkpoints are called '{twice[0]}'; name them with --labels"
        )
    return dict(zip(names, paths, strict=True))


@named_part
def analyze(
    config: Config,
    checkpoints: Mapping[str, str],
    teacher: str | None = None,
    images: int | None = None,
    gradient_batches: int = 0,
    points: bool = True,
    seed: int = 0,
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """Measure every binary layer of some checkpoints on held-out images.

    The same call gives the same figures. Memory holds a few thousand pixels a layer of
    one checkpoint, and of the twin.

    Args:
        config: Gives network and data; all checkpoints were trained with it.
        checkpoints: Label to file.
        teacher: Checkpoint of the full-precision twin, if it is to be compared with.
        images: Test images; 96, or 1024 of a classifier, when None.
        gradient_batches: Training batches on which gradients are compared; 0 for none.
        points: Lay out the encoder's last features with t-SNE.
        seed: Seed of everything random.

    Returns:
        The report, plain values; and for each checkpoint ``points`` ``(M, 2)`` with
        ``labels`` ``(M,)``, empty without ``points``.

    Raises:
        CheckpointError: A file cannot be read or is of another model.
        ConfigError: The network binarizes no activations, or has no added losses to
            compare gradients of.
    """
    per_image = describe(task_model_config(config)).per_image
    default = PICTURES if per_image else IMAGES
    data = HeldOut(config, default if images is None else images)
    _refuse_exported(checkpoints.values())
    models = {
        label: load_task_model(config, path) for label, path in checkpoints.items()
    }
    names = binarizer_names(next(iter(models.values())))
    if not names:
        raise ConfigError(
            f"the network of '{config.filename}' binarizes no activations: nothing to "
            "measure; choose a binary method"
        )
    twin = None
    if teacher is not None:
        model = load_teacher(task_model_config(config), teacher, "--teacher").network
        twin = read_twin(model.to(get_device()), names, data, seed)
    report = _header(config, data, teacher, seed, names)
    layouts = {}
    for label, model in models.items():
        found = read_activations(model, names, data, label, seed)
        report["labels_are"] = found.labels_are
        entry = _measure(found, twin, names, label, seed)
        entry = dict(checkpoint=str(checkpoints[label]), **entry)
        if gradient_batches:
            entry["gradients"] = compare_gradients(
                config, checkpoints[label], teacher, gradient_batches, label, seed
            )
        flips = Path(checkpoints[label]).parent / "flips.json"
        if flips.is_file():
            entry["flips"] = read_json(flips)
        report["checkpoints"][label] = entry
        if points:
            layouts[label] = _layout(found.sample, seed)
    return report, layouts


def _refuse_exported(paths: Iterable[str]) -> None:
    for path in map(str, paths):
        if format_of(path) is not None:
            raise ConfigError(
                f"'{path}' is an exported network, whose activations cannot be read: "
                "name the checkpoint it was made of, WORK_DIR/last.pth"
            )


def _header(
    config: Config, data: HeldOut, teacher: str | None, seed: int, names: list[str]
) -> dict[str, Any]:
    return dict(
        config=str(config.filename),
        teacher=teacher,
        images=len(data.indices),
        pixels_per_image=data.pixels,
        seed=seed,
        layers=names,
        classes=list(data.classes),
        checkpoints={},
    )


def _measure(
    found: Activations,
    twin: PixelSample | None,
    names: Sequence[str],
    label: str,
    seed: int,
) -> dict[str, Any]:
    layers = {}
    for name in tqdm(names, unit="layer", desc=label):
        sample = LayerSample(
            binary=found.sample.rows(f"{name}/binary"),
            latent=found.sample.rows(f"{name}/latent"),
            twin=None if twin is None else twin.rows(name),
            labels=found.sample.rows(f"{name}/label")[:, 0],
            images=found.sample.images(f"{name}/binary"),
        )
        try:
            measures = measure_layer(
                found.statistics[name], sample, found.continuous, seed
            )
        except ValueError as error:
            raise ValueError(f"{label}, layer '{name}': {error}") from error
        layers[name] = measures.as_record()
    return dict(layers=layers, mean=_means(list(layers.values())))


def _means(layers: list[dict[str, Any]]) -> dict[str, float | None]:
    """Means over the layers that have a figure."""
    means: dict[str, float | None] = {}
    for key in layers[0]:
        values = [layer[key] for layer in layers if layer[key] is not None]
        means[key] = round(math.fsum(values) / len(values), 4) if values else None
    return means


def _layout(sample: PixelSample, seed: int) -> dict[str, Tensor]:
    features = sample.rows(f"{LAST}/features")
    labels = sample.rows(f"{LAST}/label")[:, 0]
    known = labels.isfinite().nonzero()[:, 0]
    count = min(len(known), POINTS)
    if count < 4:
        return {}
    rows = known[torch.arange(count) * len(known) // count]
    return dict(points=tsne(features[rows], seed), labels=labels[rows])


def write_analysis(
    folder: str | Path,
    report: dict[str, Any],
    layouts: Mapping[str, Mapping[str, Tensor]],
) -> list[Path]:
    """Write ``analysis.json`` and the pictures.

    Args:
        folder: Where to; it is made.
        report: From :func:`analyze`.
        layouts: From :func:`analyze`.

    Returns:
        The files: ``layers.png``, ``tsne.png`` and ``flips.png`` where there is
        something to draw.
    """
    folder = Path(folder)
    files = [folder / "analysis.json", folder / "layers.png"]
    write_json(files[0], report)
    draw_layers(report, files[1])
    if any(layouts.values()):
        files.append(folder / "tsne.png")
        draw_points(layouts, report, files[-1])
    runs = {
        label: run["flips"]
        for label, run in report["checkpoints"].items()
        if run.get("flips", {}).get("records")
    }
    if runs:
        files.append(folder / "flips.png")
        draw_flips(runs, files[-1])
    return files
