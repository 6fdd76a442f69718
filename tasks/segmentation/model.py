"""mmseg's encoder-decoder with a lean last step."""

from __future__ import annotations

import torch
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor

from tasks.heads.aspp import upsample


@MODELS.register_module()
class SegmentationModel(EncoderDecoder):
    """Encoder-decoder that keeps class maps and drops the logits behind them.

    mmseg keeps the logits of every image at full resolution (49 MB an image for 40
    classes at 480x640) and takes their argmax across memory; here the logits are laid
    out channels-last, where both steps together are twice as fast, and released.
    Arguments are those of mmseg's ``EncoderDecoder``.
    """

    def postprocess_result(
        self, seg_logits: Tensor, data_samples: list | None = None
    ) -> list:
        """Class map of each image at its original resolution.

        Args:
            seg_logits: ``(N, K, H, W)`` at the resolution of the network's input.
            data_samples: Samples to fill; mmseg's own way is taken without them and
                for padded or flipped inputs.

        Returns:
            The samples with ``pred_sem_seg`` ``(1, H_ori, W_ori)`` int64.
        """
        if data_samples is None or any(_is_transformed(s) for s in data_samples):
            return super().postprocess_result(seg_logits, data_samples)
        fill_classes(seg_logits, data_samples)
        return data_samples


def fill_classes(logits: Tensor, samples: list) -> None:
    """``pred_sem_seg`` ``(1, H_ori, W_ori)`` of each sample.

    Args:
        logits: ``(N, K, H, W)`` at the resolution of the network's input.
        samples: Samples to fill.
    """
    logits = logits.contiguous(memory_format=torch.channels_last)
    for i, sample in enumerate(samples):
        full = upsample(logits[i : i + 1], tuple(sample.ori_shape[:2]))
        sample.pred_sem_seg = PixelData(data=full.argmax(dim=1))


def _is_transformed(sample) -> bool:
    meta = sample.metainfo
    padding = meta.get("img_padding_size", meta.get("padding_size", (0,)))
    return bool(meta.get("flip")) or any(padding)
