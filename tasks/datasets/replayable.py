"""What all data sets here share: random transforms that can be replayed."""

from __future__ import annotations

from typing import Any

from mmengine.dataset import BaseDataset


class ReplayableDataset(BaseDataset):
    """A data set whose samples are a pure function of index, seed and epoch.

    Its pipelines find these as the list ``seed`` in what they transform.

    Attributes:
        bands: Of its pictures, where no option ``image_channels`` says otherwise.
    """

    bands = 3

    def _join_prefix(self) -> None:
        """Nothing to join: every path is made from ``data_root``."""

    def prepare_data(self, idx: int | tuple[int, int, int]) -> Any:
        """Run the pipeline on one sample.

        Args:
            idx: Index, or ``(index, seed, epoch)`` from :class:`ReplayableSampler`: the
                random transforms of a sample are a pure function of these three.
        """
        index, *seed = idx if isinstance(idx, tuple) else (idx,)
        info = self.get_data_info(index)
        info["seed"] = [*seed, index]
        return self.pipeline(info)
