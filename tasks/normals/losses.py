r"""Losses on directions: cosine distance and angle.

What they share: a pixel is valid where the target is a vector, not zero; every other
pixel gets a gradient of exactly zero, whatever the prediction holds there; a batch
without a valid pixel gives a zero that still hangs on the prediction. Predictions need
no unit length; one shorter than 1e-6 has no direction and counts as a right angle, with
a gradient of unit length towards the target. float16 and bfloat16 are computed in
float32.

Checked: the cosine distance against ``model_fit`` of github.com/lorenmt/mtan, commit
c36c30b: equal in float64 and float32.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

# Shorter predictions have no direction: the formula's gradient, 1 / length, is
# replaced by that of the dot product.
_SHORTEST = 1e-6


def _unit_pairs(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unit vectors, equal ones without target; masks of targets and of zeros."""
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
    pred = torch.where(valid, pred, ahead)
    short = pred.detach().norm(dim=1, keepdim=True) < _SHORTEST
    zero = pred - pred.detach()
    unit = F.normalize(pred, dim=1, eps=_SHORTEST)
    pred = torch.where(short, zero, unit)
    target = F.normalize(torch.where(valid, target, ahead), dim=1)
    return pred, target, valid, short


def _valid_mean(values: Tensor, valid: Tensor) -> Tensor:
    kept = torch.where(valid[:, 0], values, torch.zeros_like(values))
    return kept.sum() / valid.sum().clamp(min=1)


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
    pred, target, valid, _ = _unit_pairs(pred, target)
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
    pred, target, valid, short = _unit_pairs(pred, target)
    short = short[:, 0]
    square = torch.linalg.cross(pred, target, dim=1).square().sum(dim=1)
    sine = (square + torch.finfo(square.dtype).tiny).sqrt()
    # The root has no slope at zero: there it is replaced, and the gradient is 0.
    sine = torch.where(square > 0, sine, square)
    cosine = (pred * target).sum(dim=1)
    # Without a direction atan2(0, 0) is 0, perfect, and its gradient NaN.
    angle = torch.atan2(
        torch.where(short, torch.ones_like(sine), sine),
        torch.where(short, torch.zeros_like(cosine), cosine),
    )
    return _valid_mean(torch.where(short, math.pi / 2 - cosine, angle), valid)


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
