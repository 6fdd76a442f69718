r"""Sums of binary bases for weights and activations, as in ABC-Net."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.centred import bounded_mean
from cmim.functional.sign import sign


def even_shifts(count: int) -> list[float]:
    """Evenly spaced from -1 to 1; 0 if there is but one.

    Examples:
        >>> even_shifts(3), even_shifts(1)
        ([-1.0, 0.0, 1.0], [0.0])
    """
    if count == 1:
        return [0.0]
    return [2 * m / (count - 1) - 1 for m in range(count)]


def _dims(weight: Tensor, per_filter: bool) -> tuple[int, ...]:
    return tuple(range(1 if per_filter else 0, weight.dim()))


def shifted_signs(weight: Tensor, count: int, per_filter: bool) -> list[Tensor]:
    r"""Binary bases: signs of the weights, centred and shifted by standard deviations.

    .. math::
        B_m = \mathrm{sign}(w - \mu + u_m \sigma), \qquad
        u_m = -1 + \frac{2 (m - 1)}{M - 1}

    with the biased standard deviation. From one base to the next, codes only rise.

    Args:
        weight: ``(O, ...)``.
        count: M.
        per_filter: Mean and deviation of each filter instead of the whole layer.

    References:
        Lin et al., ABC-Net, NIPS 2017. https://arxiv.org/abs/1711.11294

    Examples:
        >>> w = torch.tensor([[0.0, 1.0, 2.0, 3.0]])  # mean 1.5, deviation 1.12
        >>> [codes.tolist() for codes in shifted_signs(w, 2, True)]
        [[[-1.0, -1.0, -1.0, 1.0]], [[-1.0, 1.0, 1.0, 1.0]]]
    """
    dims = _dims(weight, per_filter)
    centred = weight - bounded_mean(weight, dims)
    deviation = centred.square().mean(dims, keepdim=True).sqrt()
    return [sign(centred + shift * deviation) for shift in even_shifts(count)]


def staircase_scales(
    weight: Tensor, codes: list[Tensor], per_filter: bool
) -> list[Tensor]:
    r"""Scales of nested bases that fit the weights best, by least squares.

    .. math:: \min_\alpha \Big\| w - \sum_m \alpha_m B_m \Big\|^2

    The codes only rise from one base to the next, so the sum is a staircase with a
    level for each number of codes +1, of which the last is minus the first. Least
    squares then is a mean over the weights of each level, nothing to invert: where no
    weight has a level, the level is 0, which changes no sum.

    Args:
        weight: ``(O, ...)``.
        codes: Of :func:`shifted_signs`, each like ``weight``.
        per_filter: Scales of each filter instead of the whole layer.

    Returns:
        A scale ``(O, 1, ...)`` for each base.

    References:
        Lin et al., ABC-Net, NIPS 2017. https://arxiv.org/abs/1711.11294

    Examples:
        >>> w = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
        >>> scales = staircase_scales(w, shifted_signs(w, 2, True), True)
        >>> [scale.item() for scale in scales]  # levels -1.5, 1.5, 1.5
        [0.0, 1.5]
    """
    dims = _dims(weight, per_filter)
    total = len(codes)
    # Number of bases with code +1, from 0 to M.
    stair = (torch.stack(codes).sum(0) + total) / 2
    masks = [(stair == j).to(weight.dtype) for j in range(total + 1)]
    sums = [(weight * mask).sum(dims, keepdim=True) for mask in masks]
    counts = [mask.sum(dims, keepdim=True) for mask in masks]
    top = (sums[-1] - sums[0]) / (counts[-1] + counts[0]).clamp(min=1)
    inner = [s / n.clamp(min=1) for s, n in zip(sums[1:-1], counts[1:-1], strict=True)]
    levels = [-top, *inner, top]
    shape = (len(weight), *[1] * (weight.dim() - 1))
    steps = [(levels[j + 1] - levels[j]) / 2 for j in range(total)]
    return [step.expand(shape) for step in reversed(steps)]


class _SumOfBases(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight: Tensor, scales: list[Tensor], codes: list[Tensor]):
        ctx.save_for_backward(torch.stack(scales).sum(0))
        terms = (scale * code for scale, code in zip(scales, codes, strict=True))
        return sum(terms, torch.zeros_like(weight))

    @staticmethod
    def backward(ctx, grad: Tensor):
        (total,) = ctx.saved_tensors
        return grad * total, None, None


def sum_of_bases(weight: Tensor, scales: list[Tensor], codes: list[Tensor]) -> Tensor:
    r"""``sum_m scale_m codes_m``, straight through each of the codes.

    .. math:: \frac{\partial \hat w}{\partial w} := \sum_m \alpha_m

    Args:
        weight: ``(O, ...)``, gets the gradient.
        scales: Each ``(O, 1, ...)``; constants of the step.
        codes: Each like ``weight``.

    References:
        Lin et al., ABC-Net, NIPS 2017. https://arxiv.org/abs/1711.11294

    Examples:
        >>> w = torch.zeros(1, 2, requires_grad=True)
        >>> scales = [torch.full((1, 1), 2.0), torch.full((1, 1), 0.5)]
        >>> y = sum_of_bases(w, scales, [torch.tensor([[1.0, -1.0]]), torch.ones(1, 2)])
        >>> y.sum().backward()
        >>> y.tolist(), w.grad.tolist()
        ([[2.5, -1.5]], [[2.5, 2.5]])
    """
    return _SumOfBases.apply(weight, scales, codes)


class _ScaledSteps(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, thresholds: Tensor, scales: Tensor) -> Tensor:
        ctx.save_for_backward(x, thresholds, scales)
        total = torch.zeros_like(x)
        for threshold, scale in zip(thresholds, scales, strict=True):
            total += scale * sign(x - threshold)
        return total

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, thresholds, scales = ctx.saved_tensors
        grad_x = torch.zeros_like(x)
        grad_thresholds, grad_scales = [], []
        # In half precision the sums over a feature map overflow.
        wide = torch.promote_types(x.dtype, torch.float32)
        for threshold, scale in zip(thresholds, scales, strict=True):
            distance = x - threshold
            grad_scales.append((grad * sign(distance)).sum(dtype=wide))
            inside = grad * (distance.abs_() <= 0.5)
            grad_x += scale * inside
            grad_thresholds.append(-scale * inside.sum(dtype=wide))
        return grad_x, torch.stack(grad_thresholds), torch.stack(grad_scales)


def scaled_steps(x: Tensor, thresholds: Tensor, scales: Tensor) -> Tensor:
    r"""Sum of scaled signs, each with a threshold, scale and window of its own.

    .. math::
        \sum_n \beta_n \, \mathrm{sign}(x - t_n), \qquad
        \frac{\partial\, \mathrm{sign}(x - t)}{\partial x} :=
        \mathbf{1}\{|x - t| \le \tfrac12\} =: -\frac{\partial}{\partial t}

    Thresholds and scales are learned. Only x itself is kept for the backward pass.

    Args:
        x: Floating tensor of any shape.
        thresholds: ``(N,)``.
        scales: ``(N,)``.

    References:
        Lin et al., ABC-Net, NIPS 2017. https://arxiv.org/abs/1711.11294

    Examples:
        >>> x = torch.tensor([0.0, 0.75], requires_grad=True)
        >>> y = scaled_steps(x, torch.tensor([0.0, 1.0]), torch.tensor([2.0, 1.0]))
        >>> y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([1.0, 1.0], [2.0, 1.0])
    """
    return _ScaledSteps.apply(x, thresholds, scales)
