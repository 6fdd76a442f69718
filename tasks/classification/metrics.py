"""Classification metrics: top-1 and top-5 accuracy, cross-entropy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS
from torch import Tensor


def label_ranks(logits: Tensor, labels: Tensor) -> Tensor:
    r"""How many classes come before the true one.

    .. math:: r_n = |\{k : x_{nk} > x_{n t_n}\}| + |\{k < t_n : x_{nk} = x_{n t_n}\}|

    Equal logits rank by class index, so rank 0 is what ``argmax`` finds. A row with a
    NaN has no order: its rank is K, wrong at any k.

    Args:
        logits: Scores of K classes.
        labels: True classes.

    Shape:
        logits ``(N, K)``, labels ``(N,)`` integer; output ``(N,)`` int64.

    Raises:
        ValueError: Shapes that do not fit, or a label out of range.

    Examples:
        >>> logits = torch.tensor([[1.0, 3.0, 2.0], [0.0, 0.0, float("nan")]])
        >>> label_ranks(logits, torch.tensor([2, 0])).tolist()
        [1, 3]
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)} and labels "
            f"{tuple(labels.shape)}; expected (N, classes) and (N,)"
        )
    count = logits.shape[1]
    wrong = labels[(labels < 0) | (labels >= count)].unique().tolist()
    if wrong:
        raise ValueError(
            f"labels hold {wrong}; the model has classes 0 to {count - 1}: check "
            "model.head.num_classes and the class folders"
        )
    own = logits.gather(1, labels[:, None])
    before = torch.arange(count, device=labels.device) < labels[:, None]
    ranks = ((logits > own) | ((logits == own) & before)).sum(dim=1)
    return torch.where(logits.isnan().any(dim=1), count, ranks)


def right_share(sums: Tensor) -> Tensor:
    """Accuracy in percent of pooled sums.

    Args:
        sums: Number of images and of those that are right.

    Shape:
        sums ``(*, 2)``; output ``(*)``, NaN without an image.

    Examples:
        >>> right_share(torch.tensor([8, 2])).item()
        25.0
    """
    images, right = sums.double().unbind(-1)
    return 100 * right / images


@METRICS.register_module()
class ClassificationMetric(BaseMetric):
    """``top1`` and ``top5`` in percent, ``loss`` in nats, over all images.

    ``topK`` is the share of images whose true class is among the K of largest logit;
    with fewer than K + 1 classes it would always be 100 and is left out. ``loss`` is
    the mean cross-entropy without label smoothing. Each image is reduced to an integer
    rank and a float64 loss of its own, and the losses are summed exactly: the figures
    do not depend on batch size or number of processes.

    Args:
        topk: Which K to report.
        collect_device: ``cpu`` or ``gpu``, where distributed results are gathered.
        prefix: Put before the names, as ``prefix/top1``.

    Shape:
        ``data_sample['pred_logits']`` ``(classes,)``; ``data_sample['gt_label']`` int.

    Raises:
        ValueError: A K below 1, a label out of range, or no image at all.

    Examples:
        >>> metric = ClassificationMetric()
        >>> sample = dict(pred_logits=torch.tensor([0.0, 0.0]), gt_label=0)
        >>> metric.process(None, [sample])
        >>> metric.evaluate(size=1) == {"top1": 100.0, "loss": math.log(2)}
        True
    """

    # Not None: mmengine then warns that figures of two metrics may collide, which
    # evaluators with several metrics settle by their prefix.
    default_prefix = ""

    def __init__(
        self,
        topk: Sequence[int] = (1, 5),
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        if not topk or min(topk) < 1:
            raise ValueError(f"topk must be numbers from 1 on, got {tuple(topk)}")
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.topk = tuple(topk)
        #: What :func:`right_share` takes, of each image, once evaluated.
        self.image_sums: dict[str, Tensor] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Append (rank, loss, number of classes) of each image of a batch."""
        logits = torch.stack([s["pred_logits"] for s in data_samples]).cpu().double()
        given = [s.get("gt_label") for s in data_samples]
        known = [label is not None for label in given]
        labels = torch.tensor([0 if label is None else label for label in given])
        ranks = label_ranks(logits, labels)
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        count = logits.shape[1]
        self.results += [
            (rank, loss, count if there else 0)
            for rank, loss, there in zip(
                ranks.tolist(), losses.tolist(), known, strict=True
            )
        ]

    def compute_metrics(
        self, results: list[tuple[int, float, int]]
    ) -> dict[str, float]:
        """Return the accuracies that say something, and the loss."""
        if not results:
            raise ValueError("no image was evaluated: the data loader gave no sample")
        results = [result for result in results if result[2]]
        if not results:
            raise ValueError("no image was evaluated: none of them has a label")
        ranks, losses, counts = zip(*results, strict=True)
        placed = torch.tensor(ranks)
        sums = {
            f"top{k}": torch.stack([torch.ones_like(placed), (placed < k).long()], 1)
            for k in self.topk
            if k < counts[0]
        }
        self.image_sums = {name: each for name, each in sums.items() if name == "top1"}
        figures = {k: right_share(each.sum(0)).item() for k, each in sums.items()}
        return dict(**figures, loss=math.fsum(losses) / len(losses))
