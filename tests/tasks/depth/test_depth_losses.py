"""Depth losses against a loop over pixels, hand values, invariances, degeneracies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from depth_cases import INVALID, depth_pair
from torch import Tensor

from tasks.depth.losses import (
    berhu_loss,
    depth_l1_loss,
    silog_loss,
)

LOSSES = {"silog": silog_loss, "berhu": berhu_loss, "l1": depth_l1_loss}
every_loss = pytest.mark.parametrize("name", list(LOSSES))


def valid_pairs(pred: np.ndarray, target: np.ndarray) -> list[tuple[float, float]]:
    pairs = zip(pred.ravel().tolist(), target.ravel().tolist(), strict=True)
    return [(p, t) for p, t in pairs if math.isfinite(t) and t > 0]


def naive_silog(pred: np.ndarray, target: np.ndarray) -> float:
    """Eigen's form per image: mean of squares minus lambda times squared mean."""
    values = []
    images = [valid_pairs(*image) for image in zip(pred, target, strict=True)]
    for pairs in filter(None, images):
        error = [math.log(max(p, 1e-3)) - math.log(max(t, 1e-3)) for p, t in pairs]
        squares = sum(d * d for d in error) / len(error)
        mean = sum(error) / len(error)
        values.append(math.sqrt(squares - 0.85 * mean**2 + 1e-6))
    return float(np.mean(values))


def naive_l1(pred: np.ndarray, target: np.ndarray) -> float:
    return float(np.mean([abs(p - t) for p, t in valid_pairs(pred, target)]))


def naive_berhu(pred: np.ndarray, target: np.ndarray) -> float:
    error = [abs(p - t) for p, t in valid_pairs(pred, target)]
    c = 0.2 * max(error)
    return float(np.mean([d if d <= c else (d * d + c * c) / (2 * c) for d in error]))


NAIVE = {"silog": naive_silog, "berhu": naive_berhu, "l1": naive_l1}


def gradient(name: str, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    pred = pred.clone().requires_grad_()
    loss = LOSSES[name](pred, target)
    (grad,) = torch.autograd.grad(loss, pred)
    return loss.detach(), grad


@every_loss
def test_matches_a_loop_over_pixels(name):
    for seed in range(5):
        pred, target = depth_pair(seed)
        expected = NAIVE[name](pred.numpy(), target.numpy())
        assert LOSSES[name](pred, target).item() == pytest.approx(expected, rel=1e-12)


def test_silog_hand_values():
    target = torch.ones(1, 1, 2, dtype=torch.float64)
    pred = torch.tensor([[[math.e, math.e**3]]], dtype=torch.float64)
    # d = 1, 3: mean of squares 5, squared mean 4.
    for focus, square in [(0.0, 5.0), (0.5, 3.0), (1.0, 1.0)]:
        value = silog_loss(pred, target, variance_focus=focus, eps=1e-12)
        assert value.item() == pytest.approx(math.sqrt(square), abs=1e-11)


def test_silog_is_a_mean_over_images_not_over_pixels():
    target = torch.ones(2, 1, 4, dtype=torch.float64)
    target[1, 0, 1:] = 0
    pred = torch.full_like(target, math.e)
    pred[1] = 1.0
    value = silog_loss(pred, target, variance_focus=0.0, eps=1e-12)
    # Image 0 has RMS log error 1, image 1 has 0; pooled it would be sqrt(4 / 5).
    assert value.item() == pytest.approx(0.5, abs=1e-6)


def test_berhu_hand_values():
    target = torch.ones(1, 1, 4)
    pred = target + torch.tensor([0.0, 0.5, -2.0, 10.0])
    # c = 2; B = 0, 0.5, 2 (at the bound both branches agree), (100 + 4) / 4 = 26.
    loss, grad = gradient("berhu", pred, target)
    assert loss.item() == pytest.approx(28.5 / 4)
    # The slope is sign(d) below c and d / c above: c is no function of pred.
    torch.testing.assert_close(grad.flatten(), torch.tensor([0, 1, -1, 5.0]) / 4)


def test_l1_hand_value_and_gradient():
    pred, target = torch.tensor([[[1.0, 5.0, 9.0]]]), torch.tensor([[[3.0, 4.0, 0.0]]])
    loss, grad = gradient("l1", pred, target)
    assert loss.item() == 1.5
    assert grad.flatten().tolist() == [-0.5, 0.5, 0.0]


@pytest.mark.parametrize("scale", [0.25, 3.0])
def test_silog_with_full_variance_focus_ignores_the_scale(scale):
    pred, target = depth_pair()
    expected = silog_loss(pred, target, variance_focus=1.0)
    scaled = silog_loss(scale * pred, target, variance_focus=1.0)
    torch.testing.assert_close(scaled, expected)
    assert not torch.allclose(silog_loss(scale * pred, target), expected)


@every_loss
def test_flip_permutation_and_channel_axis_change_nothing(name):
    pred, target = depth_pair()
    expected = LOSSES[name](pred, target)
    flipped = LOSSES[name](pred.flip(-1), target.flip(-1))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    shuffled = (x.flatten(1)[:, order].reshape(3, 4, 5) for x in (pred, target))
    assert LOSSES[name](pred[:, None], target[:, None]) == expected
    torch.testing.assert_close(flipped, expected)
    torch.testing.assert_close(LOSSES[name](*shuffled), expected)


@every_loss
def test_no_valid_pixel_gives_a_connected_zero(name):
    target = torch.tensor(INVALID).expand(2, 3, 5)
    pred = torch.ones(2, 3, 5)
    pred[0, 0] = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -1.0])
    loss, grad = gradient(name, pred, target)
    assert loss.item() == 0
    assert torch.equal(grad, torch.zeros_like(pred))


@every_loss
def test_invalid_pixels_get_exactly_zero_gradient(name):
    pred, target = depth_pair()
    pred[0, 0] = torch.tensor([math.nan, math.inf, 0.0, -3.0, 2.0])
    loss, grad = gradient(name, pred, target)
    valid = torch.isfinite(target) & (target > 0)
    assert torch.isfinite(loss)
    assert (grad[~valid] == 0).all()
    assert (grad[valid] != 0).all()


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_perfect_prediction_has_zero_gradient(name, dtype):
    _, target = depth_pair(dtype=dtype)
    pred = torch.where(torch.isfinite(target), target, 1.0)
    loss, grad = gradient(name, pred, target)
    floor = 1e-3 if name == "silog" else 0.0
    assert loss.item() == pytest.approx(floor, rel=1e-6)
    assert torch.equal(grad, torch.zeros_like(grad))


@every_loss
@pytest.mark.parametrize("error", [0.0, 1e-7, 1e-3, 2.0])
def test_single_valid_pixel_has_finite_gradient(name, error):
    target = torch.zeros(2, 3, 3)
    target[0, 1, 1] = 2.0
    loss, grad = gradient(name, torch.full_like(target, 2.0 + error), target)
    assert torch.isfinite(loss)
    assert torch.isfinite(grad).all()
    assert (grad != 0).sum() == (error > 1e-6)


@pytest.mark.parametrize("depth", [0.0, -2.0, 1e-4])
def test_silog_clamps_small_predictions_without_gradient(depth):
    target = torch.ones(1, 1, 2)
    pred = torch.tensor([[[depth, 2.0]]])
    loss, grad = gradient("silog", pred, target)
    expected = silog_loss(torch.tensor([[[1e-3, 2.0]]]), target)
    assert loss.item() == expected.item()
    assert grad[0, 0, 0] == 0
    assert grad[0, 0, 1] != 0


@every_loss
def test_nan_prediction_at_a_valid_pixel_is_not_hidden(name):
    pred, target = depth_pair()
    pred[1, 0, 0] = math.nan
    assert torch.isnan(LOSSES[name](pred, target))


@every_loss
def test_float32_agrees_with_float64(name):
    pred, target = depth_pair()
    loss64, grad64 = gradient(name, pred, target)
    loss32, grad32 = gradient(name, pred.float(), target.float())
    assert (loss32.dtype, grad32.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(loss32.double(), loss64, rtol=1e-5, atol=0)
    torch.testing.assert_close(grad32.double(), grad64, rtol=1e-4, atol=1e-7)


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(name, dtype):
    pred, target = depth_pair(dtype=dtype)
    loss, grad = gradient(name, pred, target)
    expected, expected_grad = gradient(name, pred.float(), target.float())
    assert (loss.dtype, grad.dtype) == (torch.float32, dtype)
    assert loss.item() == expected.item()
    assert torch.equal(grad, expected_grad.to(dtype))
    assert LOSSES[name](pred, target.float()).dtype == torch.float32


def test_silog_and_l1_gradients_match_finite_differences():
    pred, target = depth_pair()
    pred.requires_grad_()
    for name in ("silog", "l1"):
        assert torch.autograd.gradcheck(lambda x, n=name: LOSSES[n](x, target), pred)


def test_silog_gradient_near_the_perfect_prediction():
    target = torch.full((1, 2, 2), 2.0, dtype=torch.float64)
    offset = torch.tensor([[[1e-5, -1e-5], [2e-5, 0.0]]], dtype=torch.float64)
    pred = (target + offset).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: silog_loss(x, target), pred, eps=1e-8)


def test_berhu_gradient_matches_finite_differences_below_the_largest_error():
    # c moves with the pixel of largest error, and the loss holds c constant.
    pred, target = depth_pair()
    fixed = torch.zeros_like(target, dtype=torch.bool)
    fixed[1, 0, 0] = True
    pred.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: berhu_loss(torch.where(fixed, 40.0, x), target), pred
    )


@every_loss
def test_nothing_waits_for_the_device(name):
    """Meta tensors have no values: .item() or boolean indexing would raise."""
    pred = torch.ones(2, 3, 4, device="meta", requires_grad=True)
    LOSSES[name](pred, torch.ones(2, 3, 4, device="meta")).backward()
    assert pred.grad is not None
    assert pred.grad.shape == pred.shape


@every_loss
@pytest.mark.parametrize("shape", [(2, 1, 3, 4), (2, 3, 5), (3, 4), (2, 2, 3, 4)])
def test_wrong_shapes_are_named(name, shape):
    for other in [(2, 3, 4), (2, 2, 3, 4), (3, 4)]:
        with pytest.raises(ValueError, match="same shape") as error:
            LOSSES[name](torch.ones(shape), torch.ones(other))
        assert str(shape) in str(error.value)


@every_loss
@pytest.mark.parametrize("shape", [(0, 3, 3), (0, 1, 3, 3), (2, 0, 3)])
def test_a_batch_without_pixels_costs_nothing(name, shape):
    pred = torch.rand(shape, requires_grad=True)
    loss = LOSSES[name](pred, torch.rand(shape))
    loss.backward()
    assert loss.item() == 0
    assert pred.grad is not None
