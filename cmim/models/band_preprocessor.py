"""Normalising pictures of any number of bands: mmengine's own take 1 or 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import ImgDataPreprocessor
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import nn


class _Bands(nn.Module):
    """A mean and a deviation of each band, however many there are."""

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], **options: Any
    ) -> None:
        super().__init__(**options)
        self._enable_normalize = True
        for name, values in (("mean", mean), ("std", std)):
            column = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, column, False)


@MODELS.register_module()
class BandSegPreprocessor(_Bands, SegDataPreProcessor):
    """``SegDataPreProcessor`` for pictures of any number of bands.

    Args:
        mean: Of each band, in values of 0 to 255.
        std: Likewise.
        options: See mmseg's.

    Examples:
        >>> prepare = BandSegPreprocessor([1, 2, 3, 4], [1, 1, 1, 2], size_divisor=1)
        >>> pixel = torch.full((4, 1, 1), 6, dtype=torch.uint8)
        >>> prepare(dict(inputs=[pixel]))["inputs"].flatten().tolist()
        [5.0, 4.0, 3.0, 1.0]
    """


@MODELS.register_module()
class BandImgPreprocessor(_Bands, ImgDataPreprocessor):
    """``ImgDataPreprocessor`` for pictures of any number of bands.

    Args:
        mean: Of each band, in values of 0 to 255.
        std: Likewise.
        options: See mmengine's.
    """
