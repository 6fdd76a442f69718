"""Evaluate a task model on the test loader of a config."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmseg.registry import MODELS
from torch import Tensor
from tqdm import tqdm

from cmim.deploy.formats import format_of
from cmim.deploy.slim_checkpoint import load_weights
from cmim.engine.config import ConfigError, require_parts, task_model_config
from cmim.engine.config_classes import check_read_classes
from cmim.engine.config_place import named_part
from cmim.engine.test_time_augmentation import predict_views
from cmim.engine.views import View
from cmim.hooks.gradual_binarization import RECORD, not_binary_yet
from cmim.identity import check_identity, identity_of
from cmim.optional_packages import require_packages


@named_part
def load_task_model(config: Config, checkpoint: str) -> BaseModel:
    """Build the task model of a config and load its weights, ready for inference.

    Args:
        config: A config of this project, with or without the CMIM wrapper.
        checkpoint: Checkpoint trained with that config, also one of weights only, or
            the ``.xml``, ``.tflite`` or ``.qonnx`` of a network exported with it, which
            then runs in its engine.

    Raises:
        CheckpointError: The file cannot be read or is of another model.
        ExportError: Likewise.
        ConfigError: It is exported for other engines.
        ValueError: The file is of another task: other heads, classes, depth range or
            normalisation of pictures than the config's.
    """
    form = format_of(checkpoint)
    if form is not None and form.read is None:
        raise ConfigError(
            f"'{checkpoint}' is exported for other engines; here run a checkpoint, "
            "WORK_DIR/last.pth, or the .xml, .tflite or .qonnx that tools/export.py "
            "makes of it"
        )
    model_config = task_model_config(config)
    if model_config.get("backbone", {}).get("init_from"):
        model_config["backbone"]["init_from"] = None
    own = identity_of(config)
    if form is not None and form.read is not None:
        require_packages(f"reading {form.suffix} files", *form.packages)
        form.require()
        return form.read(model_config, checkpoint, own)
    model = MODELS.build(model_config)
    saved = load_weights(model, checkpoint)
    check_identity(own, saved.get("identity"), checkpoint)
    meta = saved.get("meta")
    record = meta.get(RECORD) if isinstance(meta, dict) else None
    said = not_binary_yet(record, f"'{checkpoint}'")
    if said:
        print_log(said, "current", logging.WARNING)
    return model.to(get_device()).eval()


@named_part
@torch.inference_mode()
def evaluate(
    model: BaseModel,
    config: Config,
    on_prediction: Callable[[Any], object] | None = None,
    views: Sequence[View] = (),
    on_sums: Callable[[dict[str, Tensor]], object] | None = None,
) -> dict[str, Any]:
    """Run a model over ``config.test_dataloader`` and compute its metrics.

    Args:
        model: A task model in evaluation mode.
        config: Gives loader and metrics.
        on_prediction: Called with every predicted data sample.
        views: Ways to look at each picture, over which answers are averaged; none:
            as it is.
        on_sums: Called at the end with the sums of each image that the main figures
            are made of, by figure, where metrics keep them; in the leading process.

    Returns:
        The metrics, ``per_class`` (IoU and accuracy of each class, None where
        undefined, by the metric's prefix where it has one) for segmentation, and
        ``images``, ``seconds``, ``images_per_second`` and, where there are any, the
        number of ``views``.

    Raises:
        ValueError: A batch of pictures of several sizes, or a figure that is NaN or
            Inf.
    """
    require_parts(config, "test_dataloader.dataset", "test_evaluator")
    loader = Runner.build_dataloader(config.test_dataloader, seed=0)
    metrics = config.test_evaluator
    evaluator = Evaluator(metrics if isinstance(metrics, list) else [metrics])
    if config.get("model"):
        read = {"test_dataloader": loader.dataset}
        check_read_classes(read, task_model_config(config))
    evaluator.dataset_meta = loader.dataset.metainfo
    total = len(loader.dataset)
    begin = time.perf_counter()
    bar = tqdm(total=total, unit="image", disable=None if is_main_process() else True)
    for batch in loader:
        _check_sizes(batch["inputs"])
        samples = (
            predict_views(model, batch, views) if views else model.test_step(batch)
        )
        evaluator.process(data_samples=samples, data_batch=batch)
        if on_prediction is not None:
            for sample in samples:
                on_prediction(sample)
        bar.update(len(samples))
    bar.close()
    figures = dict(evaluator.evaluate(total) or {})
    _check_finite(figures)
    if on_sums is not None and (sums := _image_sums(evaluator)):
        on_sums(sums)
    seconds = time.perf_counter() - begin
    return dict(
        **{name: round(float(value), 4) for name, value in figures.items()},
        **_per_class(evaluator),
        images=total,
        seconds=round(seconds, 1),
        images_per_second=round(total / seconds, 1),
        **(dict(views=len(views)) if views else {}),
    )


def _check_finite(figures: dict[str, Any]) -> None:
    """A figure that is none is no result."""
    shown = [f"{name} {float(value):g}" for name, value in figures.items()]
    if not all(math.isfinite(float(value)) for value in figures.values()):
        raise ValueError(
            f"the evaluation gave {', '.join(shown)}: what is not finite is no result; "
            "predictions or ground truth hold NaN or Inf, or the data set has nothing "
            "to measure"
        )


def _per_class(evaluator: Evaluator) -> dict[str, Any]:
    """Figures of single classes, which only a part of the metrics have."""
    found = {}
    for metric in evaluator.metrics:
        if classes := getattr(metric, "classes_measured", None):
            found[f"{_before(metric)}per_class"] = classes
    return found


def _image_sums(evaluator: Evaluator) -> dict[str, Tensor]:
    return {
        f"{_before(metric)}{name}": sums
        for metric in evaluator.metrics
        for name, sums in getattr(metric, "image_sums", {}).items()
    }


def _before(metric: Any) -> str:
    return f"{metric.prefix}/" if metric.prefix else ""


def _check_sizes(inputs: Sequence[Tensor]) -> None:
    sizes = sorted({tuple(picture.shape[-2:]) for picture in inputs})
    if len(sizes) > 1:
        shown = " and ".join(f"{rows}x{columns}" for rows, columns in sizes[:2])
        raise ValueError(
            f"a batch for testing has pictures of {shown} pixels; pictures of several "
            "sizes are tested one at a time: test_dataloader.batch_size=1"
        )
