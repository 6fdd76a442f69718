"""Encoder, normalisation, data sets and teacher must speak of the same bands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from mmseg.registry import DATASETS, TRANSFORMS

from cmim.data_parts import data_parts
from cmim.engine.config_error import ConfigError
from cmim.engine.loader_options import LOADERS

# mmengine's own take one number or three. Dotted: a short name is found only in the
# default scope, which no tool but a runner sets.
ANY_BANDS = {
    "SegDataPreProcessor": "cmim.models.band_preprocessor.BandSegPreprocessor",
    "ImgDataPreprocessor": "cmim.models.band_preprocessor.BandImgPreprocessor",
}
COLOURS = ("colour", "hue")


def fit_bands(config: Any, task: dict) -> None:
    """Refuse parts that do not agree on the number of bands that pictures have.

    Pictures of other bands than 1 or 3 get a preprocessor that can normalise them.

    Args:
        config: Gives the loaders and the teacher; changed in place.
        task: The task model without the CMIM wrapper.

    Raises:
        ConfigError: Means or deviations, data sets, changes of colours or a teacher
            for another number of bands than the encoder's ``in_channels``.

    Examples:
        >>> task = dict(backbone=dict(in_channels=4),
        ...             data_preprocessor=dict(mean=[1, 2, 3], std=[1, 1, 1]))
        >>> fit_bands(dict(model=task), task)
        Traceback (most recent call last):
        cmim.engine.config_error.ConfigError: the model's data_preprocessor.mean has ...
    """
    bands = task["backbone"].get("in_channels") or 3
    _fit_preprocessor(task.get("data_preprocessor") or {}, bands)
    teacher = (config["model"].get("teacher_model") or {}).get("backbone") or {}
    if teacher and (teacher.get("in_channels") or 3) != bands:
        raise ConfigError(
            f"the backbone of model.teacher_model has in_channels "
            f"{teacher.get('in_channels') or 3}, the student's {bands}; both read the "
            "same pictures: give both the same in_channels"
        )
    for place, dataset in _datasets(config):
        found = _bands_of(dataset)
        if found not in (None, bands):
            raise ConfigError(
                f"{place} reads pictures of {found} bands and the model's backbone has "
                f"in_channels {bands}; both must agree: image_channels={bands} in the "
                f"data set (of pictures in class folders: in LoadImage), or "
                f"in_channels={found} in the backbone, with as many numbers in mean "
                "and std"
            )
        for step in dataset.get("pipeline") or () if bands not in (1, 3) else ():
            _refuse_colours(place, step, bands)


def _fit_preprocessor(prepare: dict, bands: int) -> None:
    for key in ("mean", "std"):
        values = prepare.get(key)
        if isinstance(values, (list, tuple)) and len(values) not in (1, bands):
            raise ConfigError(
                f"the model's data_preprocessor.{key} has {len(values)} numbers and "
                f"its backbone in_channels {bands}: give {bands}, one for each band, "
                "in values of 0 to 255"
            )
    if bands == 3:
        return
    swaps = [key for key in ("bgr_to_rgb", "rgb_to_bgr") if prepare.get(key)]
    if swaps:
        raise ConfigError(
            f"the model's data_preprocessor.{swaps[0]} would leave bands out, of "
            f"{bands} that its backbone reads (in_channels); pictures are read as RGB "
            "already: remove it"
        )
    kind = prepare.get("type")
    name = getattr(kind, "__name__", kind)
    if len(prepare.get("mean") or ()) > 1 and name in ANY_BANDS:
        prepare["type"] = ANY_BANDS[name]


def _datasets(config: Any) -> Iterator[tuple[str, Any]]:
    """Options of every data set with their place, parts of joined ones each."""
    for loader in LOADERS:
        yield from data_parts(config, loader)


def _bands_of(dataset: Any) -> int | None:
    """Bands of a data set's pictures; None where it cannot be known."""
    if dataset.get("image_extra"):
        return 4
    for options in (dataset, *(dataset.get("pipeline") or ())):
        if options.get("image_channels"):
            return options["image_channels"]
    kind = dataset.get("type")
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    return getattr(kind, "bands", None)


def _refuse_colours(place: str, step: Any, bands: int) -> None:
    kind = step.get("type")
    kind = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    known = inspect.signature(kind).parameters if callable(kind) else {}
    for option in COLOURS:
        if option in known and step.get(option, known[option].default):
            raise ConfigError(
                f"{place}.pipeline: {kind.__name__} changes colours, and pictures "
                f"of {bands} bands are not RGB; set {option}=0 there"
            )
