"""What a joint model knows about each task: its truth, its loss, its prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import Tensor

from tasks.heads.aspp import upsample
from tasks.segmentation.model import fill_classes


@dataclass(frozen=True)
class TaskKind:
    """One task of a joint model.

    Args:
        truth: Name of the ground truth in the data samples.
        fill: Puts what a head gives, at the input's resolution, into the samples.
        channels: Channels of the ground truth; 0 for one label an image.
        unknown: Value of ground truth that says nothing, which all losses ignore.
        dtype: Of the ground truth.
        regression: Whether errors are distances, for the uncertainty weights.
    """

    truth: str
    fill: Callable[[Tensor, list], None]
    channels: int = 1
    unknown: int = 0
    dtype: torch.dtype = torch.float32
    regression: bool = False

    def complete(
        self, samples: list, size: tuple[int, int], device: torch.device
    ) -> bool:
        """Give samples without this task's ground truth one that says nothing.

        Dense heads then see every image of the batch, as their batch-norm must.

        Args:
            samples: Changed in place.
            size: ``(H, W)`` of the ground truth.
            device: Where it goes.

        Returns:
            Whether any sample has ground truth of its own.
        """
        lacking = [sample for sample in samples if self.truth not in sample]
        if self.channels:
            for sample in lacking:
                data = torch.full(
                    (self.channels, *size),
                    self.unknown,
                    dtype=self.dtype,
                    device=device,
                )
                sample.set_data({self.truth: PixelData(data=data)})
        return len(lacking) < len(samples)

    def loss(
        self, head: Any, features: tuple[Tensor, ...], samples: list
    ) -> dict[str, Tensor]:
        """The head's losses; 0 with a graph where no sample has ground truth."""
        if self.channels:
            return head.loss_by_feat(head(features), samples)
        rows = [i for i, sample in enumerate(samples) if self.truth in sample]
        if not rows:
            return dict(loss_ce=0 * head(features).sum())
        if len(rows) < len(samples):
            features = tuple(feature[rows] for feature in features)
        return head.loss(features, [samples[i] for i in rows])

    def predict(self, head: Any, features: tuple[Tensor, ...], samples: list) -> None:
        """Fill the samples with predictions at their original resolution."""
        output = head(features)
        if self.channels:
            metas = [sample.metainfo for sample in samples]
            output = head.predict_by_feat(output, metas)
        self.fill(output, samples)


def _full(output: Tensor, samples: list) -> Iterator[tuple[Any, Tensor]]:
    for i, sample in enumerate(samples):
        yield sample, upsample(output[i : i + 1], tuple(sample.ori_shape[:2]))[0]


def fill_depth(metres: Tensor, samples: list) -> None:
    """``pred_depth_map`` ``(1, H, W)``, as mmseg's ``DepthEstimator`` fills it."""
    for sample, full in _full(metres, samples):
        sample.set_data(dict(pred_depth_map=PixelData(data=full)))


def fill_normals(vectors: Tensor, samples: list) -> None:
    """``pred_normal_map`` ``(3, H, W)``, unit vectors."""
    for sample, full in _full(vectors, samples):
        unit = F.normalize(full, dim=0, eps=1e-6)
        sample.set_data(dict(pred_normal_map=PixelData(data=unit)))


def fill_edges(logits: Tensor, samples: list) -> None:
    """``pred_edge_map`` ``(1, H, W)``, probabilities."""
    for sample, full in _full(logits, samples):
        sample.set_data(dict(pred_edge_map=PixelData(data=full.sigmoid())))


def fill_label(logits: Tensor, samples: list) -> None:
    """``pred_logits`` and ``pred_label``, as ``ImageClassifier`` fills them."""
    rows = zip(samples, logits, logits.argmax(dim=1), strict=True)
    for sample, row, label in rows:
        sample.set_data(dict(pred_logits=row, pred_label=label))


VOID = 255
TASK_KINDS = {
    "seg": TaskKind("gt_sem_seg", fill_classes, unknown=VOID, dtype=torch.int64),
    "depth": TaskKind("gt_depth_map", fill_depth, regression=True),
    "normals": TaskKind("gt_normal_map", fill_normals, channels=3, regression=True),
    "edges": TaskKind("gt_edge_map", fill_edges, unknown=VOID, dtype=torch.int64),
    "scene": TaskKind("gt_label", fill_label, channels=0),
}
