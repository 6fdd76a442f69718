r"""Attention whose two products are of binary numbers, as in BinaryViT and BHViT.

Attention multiplies twice: queries with keys (scores), and the softmax of the scores
with values. Signs of queries, keys and values make the first product binary; the second
is binary once the probabilities are, for which both papers have a formula.

Compared in float64 with the released code of BinaryViT (github
Phuoc-Hoan-Le/BinaryViT, commit ca16a43) and BHViT (github IMRL/BHViT, commit 4093f5b,
its casts to float32 left out): from queries, keys and values to the context, 50 random
cases each, outputs and all gradients are equal.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# A step of the probabilities never gets smaller than this.
LEAST_STEP = 1e-5
# Shares of a row's largest probability from which on it belongs to a group (BHViT).
GROUPS = (0.7, 0.9)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Tokens ``(N, L, h D)`` as ``(N h, L, D)``, one after another for each head.

    Examples:
        >>> split_heads(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2).tolist()
        [[[1.0, 2.0]], [[3.0, 4.0]]]
    """
    return x.unflatten(2, (heads, -1)).transpose(1, 2).flatten(0, 1)


def merge_heads(x: Tensor, heads: int) -> Tensor:
    """Undo :func:`split_heads`.

    Examples:
        >>> merge_heads(torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]), 2).tolist()
        [[[1.0, 2.0, 3.0, 4.0]]]
    """
    return x.unflatten(0, (-1, heads)).transpose(1, 2).flatten(2)


def real_scores(queries: Tensor, keys: Tensor) -> Tensor:
    r"""Products of real queries and keys, scaled as torch's attention scales them.

    .. math:: s_{ij} = \sum_c \frac{q_{ic}}{\sqrt D} k_{jc}

    Args:
        queries: ``(B, L, D)``.
        keys: ``(B, M, D)``.

    Returns:
        ``(B, L, M)``.

    Examples:
        >>> one = torch.ones(1, 1, 4)
        >>> real_scores(one, one).item()  # 4 / 2
        2.0
    """
    scaled = queries * math.sqrt(1.0 / queries.shape[-1])
    return torch.bmm(scaled, keys.transpose(1, 2))


def code_scores(queries: Tensor, keys: Tensor) -> Tensor:
    r"""Products of codes, scaled after the sum, which is an integer for signs.

    .. math:: s_{ij} = \frac{1}{\sqrt D} \sum_c q_{ic} k_{jc}

    Args:
        queries: Codes ``(B, L, D)``.
        keys: Codes ``(B, M, D)``.

    Returns:
        ``(B, L, M)``.

    References:
        Le and Li, BinaryViT, CVPR workshops 2023. https://github.com/Phuoc-Hoan-Le/BinaryViT

    Examples:
        >>> queries = torch.tensor([[[1.0, 1.0, -1.0, 1.0]]])
        >>> code_scores(queries, torch.ones(1, 1, 4)).item()  # (3 - 1) / 2
        1.0
    """
    return torch.bmm(queries, keys.transpose(1, 2)) / math.sqrt(queries.shape[-1])


class _ElasticUnit(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, step: Tensor) -> Tensor:
        step = step.clamp(min=LEAST_STEP)
        ctx.save_for_backward(x, step)
        return (x / step).round().clamp(0, 1) * step

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, step = ctx.saved_tensors
        share = x / step
        above = share > 1
        inside = (share >= 0) & ~above
        of_step = torch.where(inside, share.round() - share, above.to(x.dtype)) * grad
        return inside * grad, of_step.sum().to(step.dtype)


def elastic_unit(x: Tensor, step: Tensor) -> Tensor:
    r"""Round to {0, step} with a learned step.

    .. math::
        b = s \, \mathrm{round}(\mathrm{clip}(x / s, 0, 1)), \qquad
        \frac{\partial b}{\partial x} := \mathbf{1}\{0 \le x \le s\}, \qquad
        \frac{\partial b}{\partial s} := \begin{cases}
            \mathrm{round}(x / s) - x / s & 0 \le x \le s \\ 1 & x > s \end{cases}

    Exactly half a step becomes 0 (rounding half to even), and NaN stays NaN. A step
    below 1e-5 counts as 1e-5.

    Args:
        x: Probabilities of any shape.
        step: Scalar s, in the units of x.

    References:
        Liu et al., BiT, NeurIPS 2022, https://arxiv.org/abs/2205.13016; Le and Li,
        BinaryViT, CVPR workshops 2023, https://github.com/Phuoc-Hoan-Le/BinaryViT

    Examples:
        >>> x = torch.tensor([0.1, 0.4, 0.9], requires_grad=True)
        >>> step = torch.tensor(0.5, requires_grad=True)
        >>> y = elastic_unit(x, step); y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([0.0, 0.5, 0.5], [1.0, 1.0, 0.0])
        >>> round(step.grad.item(), 4)  # -0.2 + 0.2 + 1
        1.0
    """
    return _ElasticUnit.apply(x, step)


class _GroupedUnit(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, step, strong, strongest) -> Tensor:
        step, strong, strongest = (
            value.clamp(min=LEAST_STEP) for value in (step, strong, strongest)
        )
        share = x / step
        largest = share.amax(dim=-1, keepdim=True)
        second, first = ((share > part * largest).to(x.dtype) for part in GROUPS)
        rest = share.round().clamp(0, 1) - second
        second = second - first
        # One number that is NaN leaves no group in its row, and must not be hidden.
        height = (rest + second * strong + first * strongest) + 0 * largest
        ctx.save_for_backward(share, step, height, second, first)
        return height * step

    @staticmethod
    def backward(ctx, grad: Tensor):
        share, step, height, second, first = ctx.saved_tensors
        inside = (share >= 0) & (share <= 1)
        of_step = height * (1 - inside * share) * grad
        of_groups = [(step * group * grad).sum() for group in (second, first)]
        gradients = [of_step.sum(), *of_groups]
        return height * step * grad, *(value.to(step.dtype) for value in gradients)


def grouped_unit(x: Tensor, step: Tensor, strong: Tensor, strongest: Tensor) -> Tensor:
    r"""Probabilities as a sum of three binary matrices (BHViT's decomposition).

    .. math::
        T_2 = \mathbf{1}\{x > 0.9\, m\}, \quad
        T_1 = \mathbf{1}\{x > 0.7\, m\} - T_2, \quad
        T_0 = \mathrm{round}(\mathrm{clip}(x / s, 0, 1)) - T_1 - T_2,

    .. math::
        b = s\, u, \quad u = T_0 + a_1 T_1 + a_2 T_2, \qquad
        \frac{\partial b}{\partial x} := b, \quad
        \frac{\partial b}{\partial s} := u (1 - \mathbf{1}\{0 \le x \le s\}\, x / s),
        \quad \frac{\partial b}{\partial a_i} := s T_i

    with the largest probability m of each row. As in the released code T_0 is -1 where
    a row is so flat that even its largest values round to 0. The gradients are the
    released code's, too. Values below 1e-5 of s and a count as 1e-5.

    Args:
        x: Probabilities ``(*, M)`` that add up to 1 over M.
        step: Scalar s.
        strong: Scalar a_1.
        strongest: Scalar a_2.

    References:
        Gao et al., BHViT: Binarized Hybrid Vision Transformer, CVPR 2025.
        https://arxiv.org/abs/2503.02394

    Examples:
        >>> x = torch.tensor([[0.4, 0.35, 0.2, 0.05]])
        >>> values = (torch.tensor(v) for v in (0.25, 2.0, 3.0))
        >>> grouped_unit(x, *values).tolist()  # 0.25 times 3, 2, 1 and 0
        [[0.75, 0.5, 0.25, 0.0]]
    """
    return _GroupedUnit.apply(x, step, strong, strongest)
