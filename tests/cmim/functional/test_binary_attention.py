"""Binary attention against formulas in NumPy, with zeros, ties and boundaries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cmim.functional.binary_attention import (
    code_scores,
    elastic_unit,
    grouped_unit,
    merge_heads,
    real_scores,
    split_heads,
)

# Rows that add up to 1, with zeros, equal numbers and boundaries of both formulas.
ROWS = np.array(
    [
        [0.25, 0.25, 0.5, 0.0],
        [0.7, 0.1, 0.1, 0.1],
        [0.25, 0.25, 0.25, 0.25],
        [0.0, 0.0, 0.0, 1.0],
        [0.32, 0.36, 0.22, 0.1],
    ]
)


def scalars(*values: float) -> list[Tensor]:
    return [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]


@pytest.mark.parametrize("step", [0.1, 0.25, 0.5, 2.0])
def test_one_binary_matrix_in_numpy(step):
    x = torch.tensor(ROWS, requires_grad=True)
    (s,) = scalars(step)
    weights = np.linspace(-1, 2, ROWS.size).reshape(ROWS.shape)
    out = elastic_unit(x, s)
    (out * torch.tensor(weights)).sum().backward()
    share = ROWS / step
    codes = np.clip(np.round(share), 0, 1)
    np.testing.assert_array_equal(out.detach(), step * codes)
    np.testing.assert_array_equal(x.grad, weights * (share <= 1))
    of_step = np.where(share > 1, 1, np.round(share) - share) * weights
    assert s.grad.item() == pytest.approx(of_step.sum(), abs=1e-12)


@pytest.mark.parametrize("step", [0.1, 0.25, 0.6, 2.0])
def test_three_binary_matrices_in_numpy(step):
    x = torch.tensor(ROWS, requires_grad=True)
    s, strong, strongest = scalars(step, 1.5, 2.5)
    weights = np.linspace(-1, 2, ROWS.size).reshape(ROWS.shape)
    out = grouped_unit(x, s, strong, strongest)
    (out * torch.tensor(weights)).sum().backward()
    share = ROWS / step
    most = share.max(1, keepdims=True)
    first = (share > 0.9 * most).astype(float)
    second = (share > 0.7 * most) - first
    rest = np.clip(np.round(share), 0, 1) - first - second
    height = rest + 1.5 * second + 2.5 * first
    np.testing.assert_allclose(out.detach(), step * height, rtol=0, atol=1e-15)
    np.testing.assert_allclose(x.grad, step * height * weights, rtol=0, atol=1e-15)
    of_step = height * (1 - (share <= 1) * share) * weights
    found = [value.grad.item() for value in (s, strong, strongest)]
    expected = [of_step, step * second * weights, step * first * weights]
    assert found == pytest.approx([part.sum() for part in expected], abs=1e-12)


@pytest.mark.parametrize("formula", ["elastic", "grouped"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_nan_stays_a_step_of_zero_is_small_and_types_are_kept(formula, dtype):
    x = torch.tensor([[0.5, torch.nan], [0.25, 0.75]], dtype=dtype)
    zero = torch.zeros((), dtype=dtype)
    extra = () if formula == "elastic" else (zero + 1, zero + 1)
    function = elastic_unit if formula == "elastic" else grouped_unit
    out = function(x, zero, *extra)
    assert out.dtype == dtype
    assert out[0].isnan().any()
    assert out[1].isfinite().all()
    assert (out[1] > 0).all()


def test_scores_of_signs_are_scaled_integers():
    torch.manual_seed(0)
    q, k = (torch.randn(3, n, 16).sign() for n in (5, 7))
    sums = code_scores(q, k) * 4
    assert torch.equal(sums, sums.round())
    assert set(sums.int().flatten().tolist()) <= set(range(-16, 17, 2))
    torch.testing.assert_close(real_scores(q, k), code_scores(q, k))


def test_heads_are_neighbouring_channels():
    x = torch.arange(2 * 3 * 6.0).view(2, 3, 6)
    heads = split_heads(x, 2)
    assert torch.equal(heads[1], x[0, :, 3:])
    assert torch.equal(heads[2], x[1, :, :3])
    assert torch.equal(merge_heads(heads, 2), x)
