"""Losses of mmseg's names, right where mmseg's own fail: class weights, focal loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mmseg.models.losses as published
import torch
import torch.nn.functional as F
from mmseg.models.losses.cross_entropy_loss import CrossEntropyLoss as Published
from mmseg.models.losses.focal_loss import py_sigmoid_focal_loss
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.ranks import joined_mean, shared_count, world_size

REDUCTIONS = ("none", "mean", "sum")


@MODELS.register_module(force=True)
class CrossEntropyLoss(Published):
    r"""mmseg's cross-entropy, also with class weights beside ``avg_non_ignore``.

    .. math:: L = \sum_i w_{y_i} c_i \Big/ \sum_i w_{y_i}

    over the labelled pixels i with class y and cross-entropy c, as
    ``torch.nn.functional.cross_entropy(..., weight=w)``; 0 where no pixel is labelled
    or all have weight 0 (torch gives NaN). mmseg's own ends in an ``IndexError``.
    Without class weights, and without ``avg_non_ignore``, it is mmseg's. Of several
    processes the average is the loss of the joined batch, however many of its labelled
    pixels each has.

    Args:
        class_weight: Weight of each class, not negative, or a file of them.
        **options: As in mmseg: ``use_sigmoid``, ``reduction``, ``loss_weight``,
            ``loss_name``, ``avg_non_ignore``.

    Shape:
        ``(N, K, H, W)`` and ``(N, H, W)`` to a scalar.

    Raises:
        ValueError: Class weights that are negative, not finite, all 0, of another
            number than the classes, or beside ``use_sigmoid``.

    Examples:
        >>> loss = CrossEntropyLoss(class_weight=[1.0, 3.0], avg_non_ignore=True)
        >>> label = torch.tensor([[[0, 1, 255]]])
        >>> logits = torch.tensor([0.0, 0.0]).log_softmax(0).expand(1, 1, 3, 2)
        >>> round(loss(logits.permute(0, 3, 1, 2), label, ignore_index=255).item(), 4)
        0.6931
    """

    def __init__(
        self, class_weight: Sequence[float] | str | None = None, **options: Any
    ) -> None:
        if options.get("use_mask"):
            raise ValueError(
                "use_mask=True is for instance masks, not for maps of classes; leave "
                "it out"
            )
        super().__init__(class_weight=class_weight, **options)
        if self.class_weight is None:
            return
        if self.use_sigmoid:
            raise ValueError(
                "class_weight has no meaning beside use_sigmoid=True, where every "
                "class is a question of its own; leave one of them out"
            )
        check_class_weight(self.class_weight)

    def forward(
        self, cls_score: Tensor, label: Tensor, *args: Any, **options: Any
    ) -> Tensor:
        """As mmseg's.

        Args:
            cls_score: Logits.
            label: Classes.
            *args: As in mmseg.
            **options: ``ignore_index`` and others of mmseg.
        """
        if self.reduction == "mean" and not cls_score.numel():
            # The mean of nothing is NaN; this zero still has a gradient.
            return self.loss_weight * cls_score.sum()
        others = [
            k for k, v in options.items() if k != "ignore_index" and v is not None
        ]
        plain = not (args or others) and self.reduction == "mean"
        ignored = options.get("ignore_index", -100)
        if self.class_weight is None:
            if plain and self.avg_non_ignore and world_size() > 1:
                options["avg_factor"] = self._shared_pixels(cls_score, label, ignored)
            return super().forward(cls_score, label, *args, **options)
        count = len(self.class_weight)
        if count != cls_score.shape[1]:
            raise ValueError(
                f"class_weight has {count} values and the head {cls_score.shape[1]} "
                "classes; give one weight a class"
            )
        if not plain or not (self.avg_non_ignore or world_size() > 1):
            return super().forward(cls_score, label, *args, **options)
        weight = cls_score.new_tensor(self.class_weight)
        total = F.cross_entropy(
            cls_score, label, weight=weight, ignore_index=ignored, reduction="sum"
        )
        known = label != ignored
        count = (weight[label.where(known, 0)] * known).sum()
        return self.loss_weight * joined_mean(total, count)

    def _shared_pixels(self, cls_score: Tensor, label: Tensor, ignored: int) -> Tensor:
        """What mmseg shall divide by: labelled pixels, or questions."""
        known = (label != ignored) & (label >= 0)
        questions = cls_score.shape[1] if self.use_sigmoid else 1
        return shared_count(known.sum() * questions, cls_score.dtype)


@MODELS.register_module(force=True)
class FocalLoss(nn.Module):
    r"""Sigmoid focal loss, on any device.

    .. math:: L = -\alpha_t (1 - p_t)^\gamma \log p_t

    for each class of each pixel, p_t being the probability of what is true of it (this
    class, or not) and alpha_t ``alpha`` or ``1 - alpha``. Ignored pixels give 0 and
    count in the mean, as in mmseg, whose own loss fails on a CPU. Without any pixel it
    is 0.

    Args:
        use_sigmoid: Only True.
        gamma: At least 0.
        alpha: In [0, 1], or a list of one for each class.
        reduction: ``'mean'`` over pixels and classes, ``'sum'`` or ``'none'``.
        class_weight: Weight of each class.
        loss_weight: Factor.
        loss_name: Name of the entry; ``loss`` must be in it for it to be trained on.

    Shape:
        ``(N, K, ...)`` and ``(N, ...)`` to a scalar, or ``(N * ..., K)`` unreduced.

    Raises:
        ValueError: An option outside its range, or a list of another length than K.

    References:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.
        https://arxiv.org/abs/1708.02002

    Examples:
        >>> label = torch.tensor([[[0, 255]]])
        >>> loss = FocalLoss(alpha=1.0)(torch.zeros(1, 2, 1, 2), label)
        >>> round(loss.item(), 4)  # ln 2 / 4 of one of four values
        0.0433
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        gamma: float = 2.0,
        alpha: float | Sequence[float] = 0.5,
        reduction: str = "mean",
        class_weight: Sequence[float] | None = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_focal",
    ) -> None:
        super().__init__()
        if not use_sigmoid:
            raise ValueError("use_sigmoid=False: only the sigmoid focal loss is known")
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"reduction {reduction!r} is unknown; choose from "
                f"{', '.join(REDUCTIONS)}"
            )
        shares = [alpha] if isinstance(alpha, (int, float)) else list(alpha)
        switches = any(isinstance(number, bool) for number in (gamma, *shares))
        if switches or not gamma >= 0 or not all(0 <= share <= 1 for share in shares):
            raise ValueError(
                f"gamma must be at least 0 and alpha in [0, 1], got {gamma} and {alpha}"
            )
        if class_weight is not None:
            check_class_weight(class_weight)
        self.gamma = gamma
        self.alpha = alpha if isinstance(alpha, (int, float)) else shares
        self.reduction = reduction
        self.class_weight = class_weight
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, pred: Tensor, target: Tensor, ignore_index: int = 255) -> Tensor:
        """The loss.

        Args:
            pred: Logits.
            target: Classes.
            ignore_index: Label of pixels without ground truth.
        """
        classes = pred.shape[1]
        for name, values in (
            ("alpha", self.alpha),
            ("class_weight", self.class_weight),
        ):
            if isinstance(values, (list, tuple)) and len(values) != classes:
                raise ValueError(
                    f"{name} has {len(values)} values and the head {classes} classes; "
                    "give one a class"
                )
        logits = pred.movedim(1, -1).reshape(-1, classes)
        labels = target.reshape(-1)
        known = labels != ignore_index
        if self.reduction == "mean" and not logits.numel():
            return self.loss_weight * logits.sum()
        # One column more than classes, so that one class is an answer too.
        truth = F.one_hot(labels.where(known, 0), max(classes, 2))[:, :classes]
        if classes == 1:
            truth = 1 - truth
        return self.loss_weight * py_sigmoid_focal_loss(
            logits,
            truth,
            gamma=self.gamma,
            alpha=self.alpha,
            class_weight=self.class_weight,
            valid_mask=known.unsqueeze(1),
            reduction=self.reduction,
        )


def check_class_weight(weights: Sequence[float]) -> None:
    """Refuse weights that are no weights.

    Args:
        weights: One for each class.

    Raises:
        ValueError: Negative or not finite ones, or only zeros.
    """
    values = torch.as_tensor(weights, dtype=torch.float64)
    if not bool(values.isfinite().all()) or bool(
        (values < 0).any() or values.sum() == 0
    ):
        raise ValueError(
            f"class_weight is {list(weights)}; expected finite weights of at least 0, "
            "one a class, not all of them 0"
        )


OWN = {
    published.CrossEntropyLoss: CrossEntropyLoss,
    published.FocalLoss: FocalLoss,
}


def own_losses(losses: dict | Sequence[dict]) -> dict | list[dict]:
    """Put the classes here in the place of mmseg's where a config imports those.

    Args:
        losses: Config of a loss, or of several.
    """
    if not isinstance(losses, dict):
        return [
            {**part, "type": OWN.get(part["type"], part["type"])} for part in losses
        ]
    return {**losses, "type": OWN.get(losses["type"], losses["type"])}
