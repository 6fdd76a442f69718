"""Whether training pictures come again, as a cache of the teacher's features needs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS

from cmim.engine.config_error import ConfigError

# Draws of the first sample that are looked at. What a cache would cost, not whether it
# is right, hangs on them: its keys are the pixels.
DRAWS = 6
# A picture and its mirror image: two places in the cache for each sample.
MOST_FORMS = 2


def require_pictures_that_come_again(config: Config) -> None:
    """Refuse a training pipeline whose pictures are new ones each time.

    The first sample of each data set is made a few times, as in different epochs, and
    compared behind each transform. A picture and its mirror image are two that come
    again; more than two are not worth keeping.

    Args:
        config: Gives the training data.

    Raises:
        ConfigError: Naming the transform that changes the pictures at random.
    """
    dataset = DATASETS.build(config.train_dataloader.dataset)
    for part in _parts(dataset):
        transforms = getattr(getattr(part, "pipeline", None), "transforms", None)
        if transforms is None or not len(part):
            continue
        with _random_numbers_kept():
            culprit = _changing(part, transforms)
        if culprit is not None:
            raise ConfigError(
                f"model.teacher_cache keeps features of pictures that come again, and "
                f"{culprit} of the training pipeline makes other ones each time: take "
                "its random crop, scale and colours away (a horizontal flip may stay), "
                "or set model.teacher_cache=False"
            )


def _parts(dataset: Any) -> Iterator[Any]:
    joined = getattr(dataset, "datasets", None)
    if joined is None:
        yield dataset
        return
    for part in joined:
        yield from _parts(part)


def _changing(dataset: Any, transforms: list[Callable[[dict], Any]]) -> str | None:
    """Name of the first transform behind which a sample has more than two forms."""
    samples = []
    for epoch in range(DRAWS):
        sample = dataset.get_data_info(0)
        sample["seed"] = [0, epoch, 0]
        samples.append(sample)
    for transform in transforms:
        samples = [transform(sample) for sample in samples]
        if not all(isinstance(s, dict) and "img" in s for s in samples):
            continue
        forms = {(s["img"].shape, s["img"].tobytes()) for s in samples}
        if len(forms) > MOST_FORMS:
            return type(transform).__name__
    return None


@contextmanager
def _random_numbers_kept() -> Iterator[None]:
    """Transforms of other projects draw from the global generators."""
    python, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(arrays)  # noqa: NPY002
