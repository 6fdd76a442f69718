r"""Depth losses: scale-invariant log, reverse Huber and L1, all in metres.

Every formula is a pure function; the classes only keep options and the name under
which a head logs the value. What they share:

* a pixel is valid where the target is finite and > 0; every other pixel gets a
  gradient of exactly zero, whatever its target or prediction holds (NaN, inf);
* a batch without a valid pixel gives a zero that is still connected to the
  prediction, so that every process of a distributed step has a gradient to reduce;
* float16 and bfloat16 inputs are computed, and the loss returned, in float32;
* of several processes the average is the loss of the joined batch;
* only ``torch.where`` and sums: static shapes, no synchronisation with the device;
* a NaN prediction at a valid pixel gives a NaN loss: it is not hidden.
"""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.ranks import joined_mean, largest_anywhere


def _valid_pairs(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return pred and target as (N, pixels), both 1 m where invalid, and the mask."""
    is_map = pred.ndim == 3 or (pred.ndim == 4 and pred.shape[1] == 1)
    if pred.shape != target.shape or not is_map:
        raise ValueError(
            f"pred has shape {tuple(pred.shape)} and target {tuple(target.shape)}; "
            "both must have the same shape, (N, H, W) or (N, 1, H, W): resize the "
            "prediction, and add or squeeze the channel axis first"
        )
    dtype = torch.promote_types(pred.dtype, target.dtype)
    if dtype in (torch.float16, torch.bfloat16):
        dtype = torch.float32
    pred, target = pred.flatten(1).to(dtype), target.flatten(1).to(dtype)
    valid = torch.isfinite(target) & (target > 0)
    # Equal values make every difference zero, and torch.where keeps the NaN of an
    # invalid pixel out of the backward pass, where 0 * NaN would be NaN.
    return torch.where(valid, pred, 1.0), torch.where(valid, target, 1.0), valid


def silog_loss(
    pred: Tensor,
    target: Tensor,
    variance_focus: float = 0.85,
    eps: float = 1e-6,
    min_depth: float = 1e-3,
) -> Tensor:
    r"""Scale-invariant log loss: the spread of the log error within an image.

    .. math::
        d_i = \ln \hat y_i - \ln y_i, \qquad
        L = \sqrt{\overline{d^2} - \lambda \, \bar d^{\,2} + \epsilon}
          = \sqrt{\mathrm{Var}(d) + (1 - \lambda) \, \bar d^{\,2} + \epsilon}

    averaged over the images that have a valid pixel (scale is a property of an
    image, so means are never taken across images). The second form is computed: it
    cannot go negative by rounding. The square root has an infinite slope at zero;
    :math:`\epsilon` under it makes the gradient finite everywhere and exactly zero
    at a perfect prediction, whose loss is :math:`\sqrt{\epsilon}`, not 0. One valid
    pixel has no variance: the loss is then
    :math:`\sqrt{(1 - \lambda) d^2 + \epsilon}`.

    The logarithm needs positive depths. Values are not checked, which would
    synchronise with the device; prediction and target are clamped to ``min_depth``
    instead, and **a prediction below it gets no gradient**. Use a head that is
    positive by construction (exp, softplus, scaled sigmoid).

    Args:
        pred: Predicted depth in metres.
        target: True depth in metres; not finite or <= 0 means invalid.
        variance_focus: :math:`\lambda` in [0, 1]; 0 is the RMS log error, 1 ignores
            the scale of the prediction, 0.5 is Eigen's training value.
        eps: :math:`\epsilon` > 0, in squared natural-log units.
        min_depth: Smallest depth in metres, > 0, that the logarithm sees.

    Shape:
        pred and target ``(N, H, W)`` or ``(N, 1, H, W)``; output a scalar.

    Raises:
        ValueError: If the shapes differ or are not those of depth maps.

    References:
        Eigen et al., Depth Map Prediction from a Single Image using a Multi-Scale
        Deep Network, NeurIPS 2014. https://arxiv.org/abs/1406.2283
        Lee et al., From Big to Small: Multi-Scale Local Planar Guidance, 2019 (the
        square root and 0.85; without its factor 10). https://arxiv.org/abs/1907.10326

    Examples:
        Once twice too far, once twice too near: d = +ln 2, -ln 2 with mean 0.

        >>> pred, target = torch.tensor([[[2.0, 2.0]]]), torch.tensor([[[1.0, 4.0]]])
        >>> round(silog_loss(pred, target).item(), 4)
        0.6931
    """
    pred, target, valid = _valid_pairs(pred, target)
    error = pred.clamp(min=min_depth).log() - target.clamp(min=min_depth).log()
    count = valid.sum(1).clamp(min=1)
    mean = error.sum(1) / count
    centred = torch.where(valid, error - mean[:, None], 0.0)
    variance = centred.square().sum(1) / count
    loss = (variance + (1 - variance_focus) * mean.square() + eps).sqrt()
    seen = valid.any(1)
    return joined_mean(torch.where(seen, loss, 0.0).sum(), seen.sum())


def berhu_loss(pred: Tensor, target: Tensor, threshold: float = 0.2) -> Tensor:
    r"""Reverse Huber loss: L1 for small errors, quadratic for large ones.

    .. math::
        B(d) = \begin{cases} |d| & |d| \le c \\
        \frac{d^2 + c^2}{2c} & |d| > c \end{cases}, \qquad
        c = 0.2 \max_i |d_i|

    averaged over the valid pixels of the batch, that of all processes. c is taken over
    the same pixels and is a constant for the gradient, so one outlier changes the loss
    of every other pixel. If all errors are zero then c = 0, and loss and gradient are
    zero.

    Args:
        pred: Predicted depth in metres.
        target: True depth in metres; not finite or <= 0 means invalid.
        threshold: c as a fraction of the largest absolute error, in (0, 1].

    Shape:
        pred and target ``(N, H, W)`` or ``(N, 1, H, W)``; output a scalar.

    Raises:
        ValueError: If the shapes differ or are not those of depth maps.

    References:
        Laina et al., Deeper Depth Prediction with Fully Convolutional Residual
        Networks, 3DV 2016. https://arxiv.org/abs/1606.00373

    Examples:
        Errors 1 m and 5 m: c = 1, B(1) = 1, B(5) = (25 + 1) / 2 = 13.

        >>> pred, target = torch.tensor([[[2.0, 6.0]]]), torch.tensor([[[1.0, 1.0]]])
        >>> berhu_loss(pred, target).item()
        7.0
    """
    pred, target, valid = _valid_pairs(pred, target)
    error = (pred - target).abs()
    # torch.where also differentiates the branch it drops: c = 0 would give 0 / 0.
    tiny = torch.finfo(error.dtype).tiny
    largest = error.detach().amax() if error.numel() else error.new_zeros(())
    bound = (threshold * largest_anywhere(largest)).clamp(min=tiny)
    quadratic = 0.5 * (error * (error / bound) + bound)
    loss = torch.where(error > bound, quadratic, error)
    return joined_mean(loss.sum(), valid.sum())


def depth_l1_loss(pred: Tensor, target: Tensor) -> Tensor:
    r"""Mean absolute depth error in metres over the valid pixels of the batch.

    .. math::
        L = \frac{1}{|V|} \sum_{i \in V} |\hat y_i - y_i|

    An image with few valid pixels weighs less than one with many. The gradient at an
    error of exactly zero is zero.

    Args:
        pred: Predicted depth in metres.
        target: True depth in metres; not finite or <= 0 means invalid.

    Shape:
        pred and target ``(N, H, W)`` or ``(N, 1, H, W)``; output a scalar.

    Raises:
        ValueError: If the shapes differ or are not those of depth maps.

    Examples:
        Errors 1 m and 2 m; the third pixel has no true depth.

        >>> pred = torch.tensor([[[2.0, 2.0, 9.0]]])
        >>> depth_l1_loss(pred, torch.tensor([[[1.0, 4.0, 0.0]]])).item()
        1.5
    """
    pred, target, valid = _valid_pairs(pred, target)
    return joined_mean((pred - target).abs().sum(), valid.sum())


class _DepthLoss(nn.Module):
    """Keep the weight and the log name of a depth loss."""

    def __init__(self, loss_weight: float, loss_name: str) -> None:
        super().__init__()
        if "loss" not in loss_name:
            # mmengine sums the entries whose key holds 'loss' and only logs the rest.
            raise ValueError(
                f"loss_name {loss_name!r} must contain 'loss', or the value is logged "
                f"but never trained; try 'loss_{loss_name}'"
            )
        self.loss_weight = loss_weight
        self.loss_name = loss_name


@MODELS.register_module()
class DepthSILogLoss(_DepthLoss):
    r"""Scale-invariant log loss as a module; formula in :func:`silog_loss`.

    Args:
        loss_weight: Factor on the loss.
        loss_name: Key in the log; must contain ``loss``.
        variance_focus: :math:`\lambda` in [0, 1].
        eps: Constant > 0 under the square root, in squared natural-log units.
        min_depth: Smallest depth in metres, > 0; predictions below get no gradient.

    Shape:
        pred and target ``(N, H, W)`` or ``(N, 1, H, W)``; output a scalar.

    Raises:
        ValueError: If an option is outside its range.

    Examples:
        e times too far everywhere: Var(d) = 0, mean 1, so sqrt(1 - 0.75) = 0.5.

        >>> target = torch.ones(1, 2, 2)
        >>> loss = DepthSILogLoss(variance_focus=0.75)
        >>> round(loss(torch.e * target, target).item(), 4)
        0.5
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        loss_name: str = "loss_silog",
        variance_focus: float = 0.85,
        eps: float = 1e-6,
        min_depth: float = 1e-3,
    ) -> None:
        super().__init__(loss_weight, loss_name)
        if not 0 <= variance_focus <= 1:
            raise ValueError(f"variance_focus {variance_focus} is not in [0, 1]")
        if not eps > 0:
            raise ValueError(f"eps {eps} must be > 0: 0 gives non-finite gradients")
        if not min_depth > 0:
            raise ValueError(f"min_depth {min_depth} must be > 0 metres")
        self.variance_focus = variance_focus
        self.eps = eps
        self.min_depth = min_depth

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the weighted loss of depths in metres."""
        loss = silog_loss(pred, target, self.variance_focus, self.eps, self.min_depth)
        return self.loss_weight * loss


@MODELS.register_module()
class DepthBerHuLoss(_DepthLoss):
    """Reverse Huber loss as a module; formula in :func:`berhu_loss`.

    Args:
        loss_weight: Factor on the loss.
        loss_name: Key in the log; must contain ``loss``.
        threshold: Turning point as a fraction of the largest error, in (0, 1].

    Shape:
        pred and target ``(N, H, W)`` or ``(N, 1, H, W)``; output a scalar.

    Raises:
        ValueError: If an option is outside its range.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        loss_name: str = "loss_berhu",
        threshold: float = 0.2,
    ) -> None:
        super().__init__(loss_weight, loss_name)
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold {threshold} is not in (0, 1]")
        self.threshold = threshold

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the weighted loss of depths in metres."""
        return self.loss_weight * berhu_loss(pred, target, self.threshold)


@MODELS.register_module()
class DepthL1Loss(_DepthLoss):
    """Mean absolute error as a module; formula in :func:`depth_l1_loss`.

    Args:
        loss_weight: Factor on the loss.
        loss_name: Key in the log; must contain ``loss``.

    Shape:
        pred and target ``(N, H, W)`` or ``(N, 1, H, W)``; output a scalar, metres.
    """

    def __init__(self, loss_weight: float = 1.0, loss_name: str = "loss_l1") -> None:
        super().__init__(loss_weight, loss_name)

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the weighted loss of depths in metres."""
        return self.loss_weight * depth_l1_loss(pred, target)
