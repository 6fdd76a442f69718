r"""Weights as coefficients of a basis."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor


def linear_combination(coefficients: Tensor, bases: Iterable[Tensor]) -> Tensor:
    r"""Sum of basis vectors, where the basis is a tensor product.

    .. math::
        v_{o, j_1 \dots j_m} = \sum_{i_1 \dots i_m} c_{o, i_1 \dots i_m}
        P^{(1)}_{i_1 j_1} \cdots P^{(m)}_{i_m j_m}

    Row i of a factor is its i-th basis vector. One factor is any basis; several need
    far fewer numbers: the sum of their sizes, not the product.

    Args:
        coefficients: c, ``(O, n_1, ..., n_m)``.
        bases: m factors, the d-th ``(n_d, n_d)``.

    Returns:
        v, of the shape of ``coefficients``.

    Examples:
        >>> import torch
        >>> turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
        >>> linear_combination(torch.tensor([[3.0, 5.0]]), [turn]).tolist()
        [[-5.0, 3.0]]
        >>> kept = torch.eye(2)
        >>> linear_combination(torch.tensor([[[3.0, 5.0], [7.0, 9.0]]]), [turn, kept])
        tensor([[[-7., -9.],
                 [ 3.,  5.]]])
    """
    combined = coefficients
    for dim, basis in enumerate(bases, start=1):
        combined = (combined.movedim(dim, -1) @ basis).movedim(-1, dim)
    return combined
