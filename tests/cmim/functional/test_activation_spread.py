"""RAD's distribution loss: loop, hand values, invariances, degenerate channels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmim.functional.spread import activation_spread


def naive_spread(x: np.ndarray) -> float:
    """The released algorithm, channel by channel."""
    total = 0.0
    for c in range(x.shape[1]):
        values = x[:, c].ravel()
        mean = sum(values) / len(values)
        deviation = np.sqrt(sum((v - mean) ** 2 for v in values) / len(values) + 1e-10)
        total += max(0.0, min(2 - mean - deviation, 2 + mean - deviation)) ** 2
        total += max(0.0, deviation - 4) ** 2
        total += max(0.0, mean**2 - deviation**2)
    return total / x.shape[1]


def batch(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Channels that each term of the loss concerns, and one that none does."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 5, 6, 3, generator=generator, dtype=torch.float64)
    spread = torch.tensor([0.1, 6.0, 1.0, 2.5, 0.0]).view(1, -1, 1, 1)
    return (spread * x + torch.tensor([0.0, 1.0, 3.0, 0.0, -3.0]).view(1, -1, 1, 1)).to(
        dtype
    )


def test_equals_the_loop():
    x = batch()
    assert activation_spread(x).item() == pytest.approx(naive_spread(x.numpy()))
    terms = [naive_spread(x[:, c : c + 1].numpy()) for c in range(5)]
    assert [term > 0 for term in terms] == [True, True, True, False, True]


def test_hand_values():
    def loss(*values: float) -> float:
        return activation_spread(torch.tensor(values).view(-1, 1).double()).item()

    assert loss(-0.5, 0.5) == pytest.approx(1.5**2)  # 2 - 0 - 1/2
    assert loss(-6, 6) == pytest.approx((6 - 4) ** 2)
    assert loss(2, 4) == pytest.approx(3**2 - 1)  # mean 3, deviation 1
    assert loss(0, 2) == pytest.approx(0, abs=1e-8)  # on all three borders
    assert loss(-3, 3) == 0


def test_order_sign_and_layout_do_not_matter():
    x = batch()
    expected = activation_spread(x)
    order = torch.randperm(4 * 6 * 3, generator=torch.Generator().manual_seed(1))
    rows = x.permute(0, 2, 3, 1).reshape(-1, 5)
    torch.testing.assert_close(activation_spread(rows[order]), expected)
    torch.testing.assert_close(activation_spread(-x), expected)
    torch.testing.assert_close(activation_spread(x[:, [3, 1, 4, 0, 2]]), expected)


def test_gradient_by_finite_differences():
    x = batch()[:2, :, :2].clone().requires_grad_()
    # Away from the constant channel, where the deviation has a kink.
    assert torch.autograd.gradcheck(lambda x: activation_spread(x[:, :4]), (x,))


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_channels_have_a_finite_gradient(value):
    x = torch.full((2, 3, 4, 4), value, requires_grad=True)
    activation_spread(x).backward()
    assert x.grad.isfinite().all()


def test_one_sided_channels_are_pulled_to_zero():
    x = torch.full((2, 1, 4, 4), 3.0, requires_grad=True)
    activation_spread(x).backward()
    assert (x.grad > 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_lower_precision_is_computed_in_float32(dtype):
    x = batch(dtype)
    loss = activation_spread(x)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(
        loss.double(), activation_spread(x.double()), rtol=1e-5, atol=1e-6
    )
