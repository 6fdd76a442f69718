"""ReBNN against NumPy: the pull on latent weights, its balance, the released form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmim.functional.resilient import (
    changed_share,
    released_resilient_sign,
    resilient_sign,
)
from cmim.layers import BasicBlock
from cmim.methods import get_method

ALPHA = np.array([0.5, -2.0, 1.0, 0.25])


def make(form: str, shape: tuple[int, ...]):
    binarize = get_method({"name": "rebnn", "form": form}).weight(shape).double()
    binarize.alpha.data.copy_(torch.from_numpy(ALPHA).view(4, 1, 1, 1))
    return binarize


def signs(x: np.ndarray) -> np.ndarray:
    return np.where(x >= 0, 1.0, -1.0)


def test_the_first_step_pulls_nothing(weights, upstream):
    binarize = make("paper", weights.shape)
    weight = torch.from_numpy(weights).requires_grad_()
    gradient, codes = upstream(weights.shape), signs(weights)
    binary = binarize(weight)
    binary.backward(torch.from_numpy(gradient))
    alpha = np.abs(ALPHA).reshape(4, 1, 1, 1)
    np.testing.assert_array_equal(binary.detach(), alpha * codes)
    expected = alpha * gradient * (np.abs(weights) <= 1)
    np.testing.assert_allclose(weight.grad, expected, rtol=1e-14)
    expected = np.sign(ALPHA) * (gradient * codes).sum((1, 2, 3))
    np.testing.assert_allclose(binarize.alpha.grad.flatten(), expected)


def test_changed_signs_pull_by_the_largest_gradient(weights, upstream):
    binarize = make("paper", weights.shape)
    earlier = weights.copy()
    earlier[0, 0, 0] *= -1  # two zeros, and one code that changes
    earlier[1] *= -1
    earlier[2, 0] *= -1
    binarize(torch.from_numpy(earlier))
    weight = torch.from_numpy(weights).requires_grad_()
    gradient, codes = upstream(weights.shape), signs(weights)
    binarize(weight).backward(torch.from_numpy(gradient))
    alpha = np.abs(ALPHA).reshape(4, 1, 1, 1)
    for i in range(4):
        share = (signs(earlier[i]) != codes[i]).mean()
        balance = share * np.abs(gradient[i]).max()
        rest = balance * (weights[i] - alpha[i] * codes[i])
        expected = alpha[i] * gradient[i] * (np.abs(weights[i]) <= 1) + rest
        np.testing.assert_allclose(weight.grad[i], expected, rtol=1e-12)
        expected = ((gradient[i] - rest) * codes[i]).sum() * np.sign(ALPHA[i])
        np.testing.assert_allclose(binarize.alpha.grad[i].item(), expected)
    assert (signs(earlier) != codes).reshape(4, -1).mean(1).tolist()[3] == 0


def test_the_same_weights_change_nothing_and_evaluation_is_no_step(weights):
    binarize = make("paper", weights.shape)
    weight = torch.from_numpy(weights)
    binarize.eval()(weight)
    assert not binarize.before.any()
    binarize.train()(weight)
    assert torch.equal(binarize.before.double(), torch.from_numpy(signs(weights)))
    assert not changed_share(binarize.before, torch.from_numpy(signs(weights))).any()


def test_a_saved_state_remembers_the_signs(weights):
    binarize = make("paper", weights.shape)
    binarize(torch.from_numpy(weights))
    loaded = make("paper", weights.shape)
    loaded.load_state_dict(binarize.state_dict())
    assert torch.equal(loaded.before, binarize.before)


def test_the_released_form_is_its_own(weights, upstream):
    binarize = make("released", weights.shape)
    weight = torch.from_numpy(weights).requires_grad_()
    gradient, codes = upstream(weights.shape), 0.02 * signs(weights)
    binary = binarize(weight)
    binary.backward(torch.from_numpy(gradient))
    scale = np.abs(ALPHA).reshape(4, 1, 1, 1)
    np.testing.assert_allclose(binary.detach(), scale * codes, rtol=1e-15)
    rest = 2e-4 * (weights - scale * codes)
    np.testing.assert_allclose(weight.grad, scale * gradient + rest, rtol=1e-13)
    expected = (gradient * weights - rest * codes).sum((1, 2, 3)) * np.sign(ALPHA)
    np.testing.assert_allclose(binarize.alpha.grad.flatten(), expected)


@pytest.mark.parametrize("form", ["paper", "released"])
def test_bfloat16_keeps_its_type(weights, upstream, form):
    weight = torch.from_numpy(weights[:3]).bfloat16().requires_grad_()
    scale = torch.full((3, 1, 1, 1), 0.5).bfloat16().requires_grad_()
    gradient = torch.from_numpy(upstream(weights[:3].shape)).bfloat16()
    share = torch.full((3, 1, 1, 1), 0.25).bfloat16()
    if form == "paper":
        binary = resilient_sign(weight, scale, share)
    else:
        binary = released_resilient_sign(weight, scale, unit=1.0)
    binary.backward(gradient)
    kinds = {binary.dtype, weight.grad.dtype, scale.grad.dtype}
    assert kinds == {torch.bfloat16}
    exact, g = weight.detach().double().numpy(), gradient.double().numpy()
    np.testing.assert_array_equal(binary.detach().double(), 0.5 * signs(exact))
    rest = exact - 0.5 * signs(exact)
    if form == "paper":
        largest = np.abs(g).max((1, 2, 3), keepdims=True)
        expected = 0.5 * g * (np.abs(exact) <= 1) + 0.25 * largest * rest
    else:
        expected = 0.5 * g + 2e-4 * rest
    found = weight.grad.double().numpy()
    np.testing.assert_allclose(found, expected, atol=0.03, rtol=0.02)


def test_thresholds_and_rprelu_are_reactnets():
    block = BasicBlock(get_method("rebnn"), 4, 4)
    other = BasicBlock(get_method("reactnet"), 4, 4)
    assert type(block.binarize1) is type(other.binarize1)
    assert type(block.nonlinearity1) is type(other.nonlinearity1)


def test_scales_start_alike_in_both_forms():
    torch.manual_seed(0)
    paper = get_method("rebnn").weight((2000, 1, 1, 1))
    released = get_method({"name": "rebnn", "form": "released"})
    scales = [
        binarize.scale(torch.zeros(2000, 1, 1, 1)).mean().item()
        for binarize in (paper, released.weight((2000, 1, 1, 1)))
    ]
    # The mean magnitude of a normal number is sqrt(2/pi).
    assert scales == pytest.approx([0.02 * (2 / np.pi) ** 0.5] * 2, rel=0.1)


def test_another_form_is_refused():
    with pytest.raises(ValueError, match="no form 'x'; choose from paper, released"):
        get_method({"name": "rebnn", "form": "x"})
