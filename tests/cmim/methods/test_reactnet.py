"""ReActNet against NumPy: RSign, RPReLU, and the two steps of its training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cmim.encoders import BinaryResNet
from cmim.layers import BasicBlock, BinaryConv2d
from cmim.methods import get_method

SHIFT = np.array([0.0, 0.5, -1.0, -0.0])


def by_channel(values: np.ndarray) -> np.ndarray:
    return values.reshape(1, -1, 1, 1)


def test_rsign_and_the_gradient_of_its_thresholds(activations, upstream):
    binarize = get_method("reactnet").activation(4).double()
    binarize.shift.data = torch.from_numpy(SHIFT.copy())
    x = torch.from_numpy(activations).requires_grad_()
    codes = binarize(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    moved = activations + by_channel(SHIFT)
    slope = np.maximum(0, 2 - 2 * np.abs(moved))
    np.testing.assert_array_equal(codes.detach(), np.where(moved >= 0, 1.0, -1.0))
    np.testing.assert_allclose(x.grad, gradient * slope, atol=1e-14)
    expected = (gradient * slope).sum((0, 2, 3))
    np.testing.assert_allclose(binarize.shift.grad, expected, atol=1e-12)
    assert (moved == 0).any()


def test_rsign_keeps_its_input_and_no_copy():
    binarize = get_method("reactnet").activation(4)
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        binarize(x)
    large = [t.data_ptr() for t in saved if t.numel() == x.numel()]
    assert large == [x.data_ptr()]


def test_rprelu_and_the_gradients_of_its_parameters(activations, upstream):
    module = get_method("reactnet").nonlinearity(4).double()
    slope, offset = np.array([0.25, -0.5, 0.0, 2.0]), np.array([1.0, 0.0, -2.0, 0.5])
    values = dict(shift=SHIFT, slope=slope, offset=offset)
    for name, value in values.items():
        module.get_parameter(name).data = torch.from_numpy(value.copy())
    x = torch.from_numpy(activations).requires_grad_()
    y = module(x)
    gradient = upstream(activations.shape)
    y.backward(torch.from_numpy(gradient))
    moved = activations + by_channel(SHIFT)
    bend = np.where(moved > 0, 1.0, by_channel(slope))
    np.testing.assert_allclose(y.detach(), moved * bend + by_channel(offset))
    np.testing.assert_allclose(x.grad, gradient * bend)
    expected = dict(
        shift=gradient * bend,
        slope=gradient * np.minimum(moved, 0),
        offset=gradient,
    )
    for name, value in expected.items():
        found = module.get_parameter(name).grad
        np.testing.assert_allclose(found, value.sum((0, 2, 3)), atol=1e-12)


def test_starts_as_bireal_with_a_leaky_relu():
    method, x = get_method("reactnet"), torch.randn(2, 4, 5, 5)
    assert torch.equal(method.activation(4)(x), get_method("bireal").activation(4)(x))
    assert torch.equal(method.nonlinearity(4)(x), nn.LeakyReLU(0.25)(x))


def test_first_step_keeps_weights_real_and_its_state_fits_the_second():
    first = BasicBlock(get_method({"name": "reactnet", "step": 1}), 4, 4)
    second = BasicBlock(get_method("reactnet"), 4, 4)
    assert not isinstance(first.conv1, BinaryConv2d)
    assert isinstance(second.conv1, BinaryConv2d)
    second.load_state_dict(first.state_dict())
    with pytest.raises(ValueError, match="has no step 3; choose 1"):
        get_method({"name": "reactnet", "step": 3})


def reactnet(step: int | str, **options) -> dict:
    return {"name": "reactnet", "step": step, **options}


def test_second_run_starts_from_the_first_runs_checkpoint(tmp_path):
    """Latent weights, batch-norm and learned thresholds, from a whole task model."""
    torch.manual_seed(0)
    first = BinaryResNet(method=reactnet(1), base_channels=4)
    for value in first.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    state = {f"backbone.{key}": value for key, value in first.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "first.pth")
    for step in (2, "schedule"):
        second = BinaryResNet(
            method=reactnet(step),
            base_channels=4,
            init_from=str(tmp_path / "first.pth"),
        )
        second.init_weights()
        found = second.state_dict()
        assert "layer1.0.binarize1.shift" in found
        for key, value in first.state_dict().items():
            assert torch.equal(found[key], value), key
        added = set(found) - set(first.state_dict())
        assert all(key.endswith("weight_binarizer.progress") for key in added)
        assert len(added) == (16 if step == "schedule" else 0)


@pytest.mark.parametrize("progress", [0.0, 0.29, 0.3, 1.0])
def test_schedule_is_real_then_binary_in_training(weights, upstream, progress):
    scheduled = get_method(reactnet("schedule", switch=0.3)).weight((4, 2, 3, 3))
    scheduled.double().set_progress(progress)
    w = torch.from_numpy(weights).requires_grad_()
    gradient = upstream(weights.shape)
    out = scheduled(w)
    out.backward(torch.from_numpy(gradient))
    if progress < 0.3:
        np.testing.assert_array_equal(out.detach(), weights)
        np.testing.assert_array_equal(w.grad, gradient)
    else:
        scale = np.abs(weights).mean((1, 2, 3), keepdims=True)
        signs = np.where(weights >= 0, 1.0, -1.0)
        np.testing.assert_allclose(out.detach(), scale * signs, rtol=1e-14)
        np.testing.assert_allclose(w.grad, gradient * (np.abs(weights) <= 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_evaluation_of_a_schedule_is_the_second_step(weights, dtype):
    w = torch.from_numpy(weights).to(dtype)
    scheduled = get_method(reactnet("schedule")).weight(w.shape).to(dtype).eval()
    expected = get_method("reactnet").weight(w.shape)(w)
    for progress in (0.0, 0.5, 1.0):
        scheduled.set_progress(progress)
        ((scale, codes),) = scheduled.terms(w)
        assert torch.equal(scheduled(w), expected)
        assert torch.equal(scale * codes, expected)
    assert scheduled.train()(w).dtype == dtype


def test_state_of_the_two_steps_and_the_schedule_fit_each_other():
    torch.manual_seed(0)
    second = BinaryResNet(method=reactnet(2), base_channels=4)
    scheduled = BinaryResNet(method=reactnet("schedule"), base_channels=4)
    missing = scheduled.load_state_dict(second.state_dict(), strict=False)
    assert not missing.unexpected_keys
    x = torch.randn(1, 3, 32, 32)
    outputs = zip(scheduled.eval()(x), second.eval()(x), strict=True)
    assert all(torch.equal(a, b) for a, b in outputs)


@pytest.mark.parametrize("switch", [0, 1, -0.5, float("nan")])
def test_a_switch_outside_the_training_is_refused(switch):
    with pytest.raises(ValueError, match="switch between 0 and 1"):
        get_method(reactnet("schedule", switch=switch))
