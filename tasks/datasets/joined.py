"""Several data sets as one, also with other ground truth each."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.dataset import ConcatDataset
from mmseg.registry import DATASETS

from cmim.data_parts import reads_labels
from tasks.datasets.replayable import ReplayableDataset


@DATASETS.register_module()
class JoinedDataset(ConcatDataset):
    """Data sets one behind the other, for example labels of one and depth of another.

    What ``ConcatDataset`` of mmengine lacks: samples come with the seed of their
    random transforms (:class:`tasks.datasets.sampler.ReplayableSampler`), so that runs
    resume bit for bit, and data sets may know different things. A sample without
    ground truth of a task adds 0 to its loss (``MultiTaskModel``). An epoch has every
    sample of every part once: parts of unequal sizes are not balanced.

    Args:
        datasets: Configs of the parts, with a pipeline each; they may be joined ones.
            A part whose pipeline leaves its labels out need not know the classes of
            the others.

    Raises:
        ValueError: No part, one whose samples cannot be replayed, or parts that say
            different things under one key of ``metainfo``, such as other classes.
    """

    #: Told from mmengine's wrappers by the sampler.
    replayable = True

    def __init__(
        self, datasets: list[dict | ReplayableDataset | JoinedDataset]
    ) -> None:
        if not datasets:
            raise ValueError("datasets is empty; name one data set or more")
        parts = [DATASETS.build(d) if isinstance(d, dict) else d for d in datasets]
        metainfo: dict[str, Any] = {}
        for place, part in enumerate(parts):
            if not isinstance(part, (ReplayableDataset, JoinedDataset)):
                raise ValueError(
                    f"datasets[{place}] is {type(part).__name__}, whose samples cannot "
                    "be replayed; choose a data set of this project"
                )
            for key, value in _said(part).items():
                if _plain(metainfo.setdefault(key, value)) != _plain(value):
                    raise ValueError(
                        f"datasets[{place}] has other {key} than the ones before it: "
                        f"{value} and {metainfo[key]}; give all the same, in the same "
                        "order, and label_values for the files that number otherwise"
                    )
        # mmengine's own takes neither joined parts nor ones that say more than others.
        self.datasets = parts
        self._metainfo = metainfo
        self._fully_initialized = False
        self.full_init()

    def __getitem__(self, idx: int | tuple[int, int, int]) -> Any:
        index, *seed = idx if isinstance(idx, tuple) else (idx,)
        part, inside = self._get_ori_dataset_idx(index)
        if not seed:
            return self.datasets[part][inside]
        # The part's number keeps the draws of the parts apart.
        return self.datasets[part][(inside, *seed, part)]


def _said(part: Any) -> dict[str, Any]:
    """What a part says of itself, without the classes of labels that it does not read.

    Depth of a data set whose kind has classes is so joined with labels of another one.
    """
    said = dict(part.metainfo)
    steps = getattr(getattr(part, "pipeline", None), "transforms", ())
    if reads_labels(steps):
        return said
    own = getattr(part, "METAINFO", {})
    return {
        key: value
        for key, value in said.items()
        if key not in own or _plain(own[key]) != _plain(value)
    }


def _plain(value: Any) -> Any:
    """Lists for tuples and arrays: a config may write the one or the other."""
    value = value.tolist() if isinstance(value, np.ndarray) else value
    return list(map(_plain, value)) if isinstance(value, (list, tuple)) else value
