r"""Losses on directions: cosine distance and angle.

What they share: a pixel is valid where the target is a vector, not zero; every other
pixel gets a gradient of exactly zero, whatever the prediction holds there; a batch
without a valid pixel gives a zero that still hangs on the prediction; of several
processes the average is the loss of the joined batch. Predictions need no unit length;
one that is shorter than 0.01 counts as that much shorter than a unit vector, so that a
zero is at a right angle to every target (cosine distance 1, angle pi / 2) and has a
bounded gradient towards it. float16 and bfloat16 are computed in float32.

Checked: the cosine distance against ``model_fit`` of github.com/lorenmt/mtan, commit
c36c30b: equal in float64 and float32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.ranks import joined_mean

# The gradient of a direction grows with 1 / length: it is bounded by 1 / _SHORTEST.
_SHORTEST = 1e-2


def _unit_pairs(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Unit vectors, equal ones where there is no target, and the mask.

    Predictions below the shortest length stay shorter than 1.
    """
    if pred.shape != target.shape or pred.ndim != 4 or pred.shape[1] != 3:
        raise ValueError(
            f"pred has shape {tuple(pred.shape)} and target {tuple(target.shape)}; "
            "both must be the same (N, 3, H, W): resize the prediction first"
        )
    dtype = torch.promote_types(pred.dtype, torch.float32)
    pred, target = pred.to(dtype), target.to(dtype)
    valid = target.square().sum(dim=1, keepdim=True) > 0.25
    ahead = pred.new_zeros(1, 3, 1, 1)
    ahead[:, 2] = 1
    # Replaced before any formula: the backward pass would turn 0 * NaN into NaN.
    pred = F.normalize(
        _shortened(torch.where(valid, pred, ahead)), dim=1, eps=_SHORTEST
    )
    target = F.normalize(_shortened(torch.where(valid, target, ahead)), dim=1)
    return pred, target, valid


def _shortened(vectors: Tensor) -> Tensor:
    """Vectors whose squares overflow, with a largest component of 1; others as is."""
    largest = vectors.detach().abs().amax(dim=1, keepdim=True)
    limit = torch.finfo(vectors.dtype).max ** 0.5 / 2
    return vectors / torch.where(largest > limit, largest, torch.ones_like(largest))


def _valid_mean(values: Tensor, valid: Tensor) -> Tensor:
    kept = torch.where(valid[:, 0], values, torch.zeros_like(values))
    return joined_mean(kept.sum(), valid.sum())


def normal_cosine_loss(pred: Tensor, target: Tensor) -> Tensor:
    r"""Mean cosine distance over the valid pixels of the batch.

    .. math:: L = \frac{1}{|V|} \sum_{i \in V} 1 - \frac{p_i \cdot t_i}{|p_i| |t_i|}

    Args:
        pred: Predicted vectors, of any length.
        target: True unit vectors; zero is unknown.

    Shape:
        pred and target ``(N, 3, H, W)``; output a scalar in [0, 2].

    Raises:
        ValueError: The shapes differ or are not those of maps of vectors.

    References:
        Eigen, Fergus, Predicting Depth, Surface Normals and Semantic Labels with a
        Common Multi-Scale Convolutional Architecture, ICCV 2015 (there the dot product
        alone). https://arxiv.org/abs/1411.4734

    Examples:
        Right angle and agreement, then an unknown pixel: (1 + 0) / 2.

        >>> pred = torch.tensor([[2.0, 0, 0], [0, 0, 3.0], [1.0, 1, 1]]).T
        >>> target = torch.tensor([[0, 0, 1.0], [0, 0, 1.0], [0, 0, 0]]).T
        >>> normal_cosine_loss(pred.view(1, 3, 1, 3), target.view(1, 3, 1, 3)).item()
        0.5
    """
    pred, target, valid = _unit_pairs(pred, target)
    return _valid_mean(1 - (pred * target).sum(dim=1), valid)


def normal_angular_loss(pred: Tensor, target: Tensor) -> Tensor:
    r"""Mean angle in radians over the valid pixels of the batch.

    .. math:: L = \frac{1}{|V|} \sum_{i \in V} \mathrm{atan2}(|p_i \times t_i|,
              p_i \cdot t_i)

    Unlike the arc cosine it has a bounded gradient: 1 an angle of any size, and 0 at
    perfect agreement.

    Args:
        pred: Predicted vectors, of any length.
        target: True unit vectors; zero is unknown.

    Shape:
        pred and target ``(N, 3, H, W)``; output a scalar in [0, pi].

    Raises:
        ValueError: The shapes differ or are not those of maps of vectors.

    Examples:
        >>> pred = torch.tensor([2.0, 0, 0]).view(1, 3, 1, 1)
        >>> target = torch.tensor([0, 0, 1.0]).view(1, 3, 1, 1)
        >>> round(normal_angular_loss(pred, target).item(), 4)
        1.5708
    """
    pred, target, valid = _unit_pairs(pred, target)
    square = torch.linalg.cross(pred, target, dim=1).square().sum(dim=1)
    # What a short prediction lacks of length 1 counts as across: no direction is 90
    # degrees. Of unit vectors the difference is rounding, which is left out.
    lacking = 1 - pred.square().sum(dim=1)
    square = square + torch.where(lacking > 1e-3, lacking, torch.zeros_like(lacking))
    sine = (square + torch.finfo(square.dtype).tiny).sqrt()
    # The root has no slope at zero: there it is replaced, and the gradient is 0.
    sine = torch.where(square > 0, sine, square)
    return _valid_mean(torch.atan2(sine, (pred * target).sum(dim=1)), valid)


@MODELS.register_module()
class NormalCosineLoss(nn.Module):
    """Module form of :func:`normal_cosine_loss`.

    Args:
        loss_weight: Factor on the loss.
    """

    loss_name = "loss_cosine"

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return self.loss_weight * normal_cosine_loss(pred, target)


@MODELS.register_module()
class NormalAngularLoss(nn.Module):
    """Module form of :func:`normal_angular_loss`.

    Args:
        loss_weight: Factor on the loss.
    """

    loss_name = "loss_angle"

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return self.loss_weight * normal_angular_loss(pred, target)
