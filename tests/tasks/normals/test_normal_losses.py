"""Losses on directions against a loop over pixels."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

import tasks.normals  # noqa: F401 - registers the losses
from tasks.normals.losses import normal_angular_loss, normal_cosine_loss

LOSSES = {"cosine": normal_cosine_loss, "angle": normal_angular_loss}
every_loss = pytest.mark.parametrize("name", list(LOSSES))


def naive(name: str, pred: np.ndarray, target: np.ndarray) -> float:
    values = []
    for p, t in zip(pred.reshape(-1, 3), target.reshape(-1, 3), strict=True):
        if not t.any():
            continue
        cosine = float(p @ t / np.linalg.norm(p) / np.linalg.norm(t))
        values.append(
            1 - cosine if name == "cosine" else math.acos(max(-1, min(1, cosine)))
        )
    return float(np.mean(values))


def pair(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    target = F.normalize(
        torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64), dim=1
    )
    target[0, :, :2] = 0
    return pred.to(dtype), target.to(dtype)


@every_loss
def test_mean_over_valid_pixels(name):
    pred, target = pair()
    planes = [x.permute(0, 2, 3, 1).numpy() for x in (pred, target)]
    assert LOSSES[name](pred, target).item() == pytest.approx(naive(name, *planes))


@every_loss
def test_length_of_the_prediction_and_a_common_rotation_change_nothing(name):
    pred, target = pair()
    loss = LOSSES[name](pred, target)
    assert LOSSES[name](7 * pred, target).item() == pytest.approx(loss.item())
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    turned = [torch.einsum("ij,njhw->nihw", turn, x) for x in (pred, target)]
    assert LOSSES[name](*turned).item() == pytest.approx(loss.item())


@every_loss
@pytest.mark.parametrize("junk", [math.nan, math.inf, 0.0])
def test_pixels_without_truth_get_no_gradient(name, junk):
    pred, target = pair()
    pred[0, :, :2] = junk
    pred.requires_grad_()
    LOSSES[name](pred, target).backward()
    assert not pred.grad[0, :, :2].any()
    assert pred.grad[1].abs().sum() > 0
    assert pred.grad.isfinite().all()


@every_loss
def test_nothing_known_is_a_zero_with_a_graph(name):
    pred = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = LOSSES[name](pred, torch.zeros(1, 3, 2, 2))
    loss.backward()
    assert loss.item() == 0
    assert not pred.grad.any()


@every_loss
@pytest.mark.parametrize("sign", [1, -1])
def test_agreement_and_opposition_are_the_ends_with_finite_gradients(name, sign):
    _, target = pair()
    target = target[1:]
    pred = (3 * sign * target).requires_grad_()
    loss = LOSSES[name](pred, target)
    loss.backward()
    ends = {"cosine": (0, 2), "angle": (0, math.pi)}[name]
    assert loss.item() == pytest.approx(ends[0 if sign == 1 else 1], abs=1e-6)
    assert pred.grad.isfinite().all()


@every_loss
def test_gradients_are_those_of_the_formula(name):
    pred, target = pair()
    assert torch.autograd.gradcheck(
        lambda p: LOSSES[name](p, target), pred.requires_grad_()
    )


@every_loss
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)]
)
def test_lower_precision_is_close(name, dtype, tolerance):
    exact = LOSSES[name](*pair())
    loss = LOSSES[name](*pair(dtype))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=tolerance)


@pytest.mark.parametrize("kind", ["NormalCosineLoss", "NormalAngularLoss"])
def test_modules_weigh_and_name_their_loss(kind):
    module = MODELS.build(dict(type=kind, loss_weight=2.0))
    plain = MODELS.build(dict(type=kind))
    assert "loss" in module.loss_name
    assert module(*pair()).item() == pytest.approx(2 * plain(*pair()).item())


@every_loss
def test_other_shapes_are_refused(name):
    with pytest.raises(ValueError, match="resize the prediction"):
        LOSSES[name](torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("loss", "value"),
    [(normal_cosine_loss, 1.0), (normal_angular_loss, math.pi / 2)],
)
def test_a_zero_prediction_is_at_a_right_angle_and_is_drawn_to_the_target(
    loss, value, dtype
):
    pred = torch.zeros(1, 3, 2, 2, dtype=dtype, requires_grad=True)
    target = torch.tensor([0.0, 0.6, 0.8]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    found = loss(pred, target)
    found.backward()
    assert found.item() == pytest.approx(value)
    # Four pixels share it; along the target, at most 1 / 0.01 each.
    expected = -25 * target.to(dtype)
    torch.testing.assert_close(pred.grad, expected, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("loss", [normal_cosine_loss, normal_angular_loss])
def test_a_growing_prediction_never_gets_worse(loss):
    """No step where the shortest length ends."""
    direction = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64).view(1, 3, 1, 1)
    target = torch.tensor([0.0, 0, 1], dtype=torch.float64).view(1, 3, 1, 1)
    lengths = torch.linspace(0, 0.02, 101, dtype=torch.float64)
    values = torch.stack([loss(n * direction, target) for n in lengths])
    assert (values.diff() <= 1e-12).all()
    assert values.diff().abs().max() < 0.06


@pytest.mark.parametrize("length", [1e15, 1e20, 1e30, 3e38])
@pytest.mark.parametrize("loss", [normal_cosine_loss, normal_angular_loss])
def test_a_long_vector_has_its_direction(loss, length):
    target = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
    across = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    for pred in (target, across):
        assert loss(length * pred, target).item() == loss(pred, target).item()
        assert loss(pred, length * target).item() == loss(pred, target).item()
