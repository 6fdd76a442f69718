"""LNS against NumPy: mapping of filters, unbiased error, the way of its loss."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cmim.encoders import BinaryResNet
from cmim.functional.noisy_supervision import unbiased_squared_error
from cmim.methods import get_method, take_auxiliary_losses

METHOD = {"name": "lns"}


def binarizer_of(dtype: torch.dtype = torch.float64, **options) -> nn.Module:
    torch.manual_seed(0)
    binarizer = get_method({"name": "lns", **options}).weight((4, 2, 3, 3)).to(dtype)
    for name, parameter in binarizer.named_parameters():
        # Away from the start, so that affine parameters and the residual count.
        if name.endswith("bias") or parameter.dim() == 1:
            nn.init.normal_(parameter, mean=1.0, std=0.3)
    return binarizer


def numpy_conv(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(x), len(kernel), *x.shape[2:]))
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            patch = padded[:, :, i : i + 3, j : j + 3]
            out[:, :, i, j] = np.einsum("ocij,dcij->od", patch, kernel)
    return out


def numpy_mapping(weights: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    x = weights
    for conv, norm in [(0, 1), (3, 4)]:
        x = numpy_conv(x, state[f"mapping.{conv}.weight"])
        mean = x.mean((0, 2, 3), keepdims=True)
        x = (x - mean) / np.sqrt(x.var((0, 2, 3), keepdims=True) + 1e-5)
        gain, shift = (state[f"mapping.{norm}.{n}"] for n in ("weight", "bias"))
        x = np.maximum(x * gain.reshape(-1, 1, 1) + shift.reshape(-1, 1, 1), 0)
    return numpy_conv(x, state["mapping.6.weight"])


def numpy_state(binarizer: nn.Module) -> dict[str, np.ndarray]:
    return {k: v.numpy() for k, v in binarizer.state_dict().items()}


def numpy_error(q: np.ndarray, y: np.ndarray, rho: float) -> np.ndarray:
    return q**2 - 2 * q * y / (1 - 2 * rho) + 1


def test_error_to_noisy_labels_is_the_clean_one_in_expectation():
    q = torch.linspace(-2, 2, 9, dtype=torch.float64)
    up, down = 0.3, 0.1
    one = torch.ones_like(q)
    for clean, flipped in [(one, up), (-one, down)]:
        kept = unbiased_squared_error(q, clean, up, down)
        wrong = unbiased_squared_error(q, -clean, up, down)
        expected = (1 - flipped) * kept + flipped * wrong
        torch.testing.assert_close(expected, (q - clean).square())


def test_gradient_of_the_error_is_that_of_the_paper():
    q = torch.linspace(-2, 2, 9, dtype=torch.float64)
    for y, rho in [(1.0, 0.3), (-1.0, 0.1)]:
        x = q.clone().requires_grad_()
        label = torch.full_like(q, y)
        unbiased_squared_error(x, label, 0.3, 0.1).sum().backward()
        expected = 2 * (q - y) - 4 * rho * y / (1 - 0.3 - 0.1)
        torch.testing.assert_close(x.grad, expected)


@pytest.mark.parametrize("rates", [(-0.1, 0.2), (0.5, 0.5), (0.2, -0.1)])
def test_rates_must_leave_information(rates):
    with pytest.raises(ValueError, match="must sum to less than 1"):
        unbiased_squared_error(torch.zeros(1), torch.ones(1), *rates)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("residual", [False, True])
def test_codes_are_the_signs_of_the_mapped_filters(weights, training, residual):
    binarizer = binarizer_of(residual=residual).train(training)
    if residual:
        nn.init.normal_(binarizer.mapping[-1].weight, std=0.2)
    codes = binarizer(torch.from_numpy(weights))
    q = numpy_mapping(weights, numpy_state(binarizer))
    if residual:
        q += weights / np.abs(weights).mean((1, 2, 3), keepdims=True)
    np.testing.assert_array_equal(codes.detach(), np.where(q >= 0, 1.0, -1.0))
    np.testing.assert_allclose(
        binarizer.predict(torch.from_numpy(weights)).detach(), q, atol=1e-10
    )
    agreement = (codes.detach().numpy() == np.where(weights >= 0, 1, -1)).mean()
    assert agreement < 1
    assert residual == (agreement > 0.7)


def test_the_residual_starts_at_the_sign_of_the_weights(weights):
    binarizer = get_method({**METHOD, "residual": True}).weight((4, 2, 3, 3)).double()
    codes = binarizer(torch.from_numpy(weights))
    np.testing.assert_array_equal(codes.detach(), np.where(weights >= 0, 1.0, -1.0))


def test_gradients_are_those_of_finite_differences_of_q(weights, upstream):
    """The codes' gradient goes to q as it is, and from there is the true one."""
    binarizer = binarizer_of()
    weights[3] /= 50
    weight = torch.from_numpy(weights).requires_grad_()
    gradient = upstream(weights.shape)
    binarizer(weight).backward(torch.from_numpy(gradient))
    state, step = numpy_state(binarizer), 1e-6

    def slope(array: np.ndarray, place: tuple) -> float:
        ends = []
        for sign in (1, -1):
            array[place] += sign * step
            ends.append((gradient * numpy_mapping(weights, state)).sum())
            array[place] -= sign * step
        return (ends[0] - ends[1]) / (2 * step)

    parameters = dict(binarizer.named_parameters())
    for name, array in state.items():
        state[name] = array.copy()
    for name in state:
        for place in [np.unravel_index(i, state[name].shape) for i in (0, 3)]:
            found = parameters[name].grad[place].item()
            assert found == pytest.approx(slope(state[name], place), rel=1e-5), name
    for place in [(0, 0, 2, 1), (1, 1, 0, 0), (2, 0, 1, 1)]:
        found = weight.grad[place].item()
        assert found == pytest.approx(slope(weights, place), rel=1e-4), place


def test_an_encoder_leaves_the_start_of_the_mapping_alone():
    encoder = BinaryResNet(method={**METHOD, "residual": True}, base_channels=4)
    state = {k: v.clone() for k, v in encoder.state_dict().items() if "mapping" in k}
    encoder.init_weights()
    assert len(state) == 16 * 7
    for name, value in state.items():
        assert torch.equal(encoder.state_dict()[name], value), name
        if name.endswith("mapping.6.weight"):
            assert (value == 0).all()


@pytest.mark.parametrize("rho", [0.0, 0.2])
def test_loss_and_its_gradients(weights, rho):
    binarizer = binarizer_of(flip_rate=rho, loss_weight=3.0)
    weight = torch.from_numpy(weights).requires_grad_()
    binarizer(weight)
    loss = binarizer.take_auxiliary_loss()
    q = numpy_mapping(weights, numpy_state(binarizer))
    y = np.where(weights >= 0, 1.0, -1.0)
    assert loss.item() == pytest.approx(3 * numpy_error(q, y, rho).mean())
    loss.backward()
    # Through q as in the test above: the same graph with this gradient put in.
    again = torch.from_numpy(weights).requires_grad_()
    twin = copy.deepcopy(binarizer)
    twin.zero_grad()
    upstream = 3 * (2 * q - 2 * y / (1 - 2 * rho)) / q.size
    twin(again).backward(torch.from_numpy(upstream))
    torch.testing.assert_close(weight.grad, again.grad)
    for ours, theirs in zip(binarizer.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_loss_is_left_in_training_only_and_taken_once(weights):
    model = nn.ModuleList([binarizer_of(), binarizer_of(loss_weight=0.5)])
    weight = torch.from_numpy(weights)
    for binarizer in model.eval():
        binarizer(weight)
    assert take_auxiliary_losses(model) == {}
    for binarizer in model.train():
        binarizer(weight)
    single = model[0].auxiliary_loss
    (total,) = take_auxiliary_losses(model).values()
    torch.testing.assert_close(total, 1.5 * single)
    assert take_auxiliary_losses(model) == {}


def test_a_loss_that_nobody_takes_is_told(weights):
    binarizer = get_method("lns").weight(weights.shape).double()
    weight = torch.from_numpy(weights)
    binarizer(weight)
    with pytest.warns(UserWarning, match="wrap the task model in CMIM"):
        binarizer(weight)


def test_a_pending_loss_neither_hinders_copies_nor_comes_along(weights):
    binarizer = binarizer_of()
    binarizer(torch.from_numpy(weights))
    for twin in (copy.deepcopy(binarizer), pickle.loads(pickle.dumps(binarizer))):
        assert twin.auxiliary_loss is None
    assert binarizer.auxiliary_loss is not None
    assert not any("auxiliary" in name for name in binarizer.state_dict())


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_zero_and_constant_filters_in_every_type(dtype, residual):
    binarizer = binarizer_of(dtype, residual=residual)
    for weight in (torch.zeros(4, 2, 3, 3), torch.ones(4, 2, 3, 3) * 1e-3):
        weight = weight.to(dtype).requires_grad_()
        codes = binarizer(weight)
        (codes.sum() + binarizer.take_auxiliary_loss()).backward()
        assert codes.dtype == weight.grad.dtype == dtype
        assert codes.isfinite().all()
        assert weight.grad.isfinite().all()


def test_autocast_changes_neither_codes_nor_loss(weights):
    binarizer, weight = binarizer_of(torch.float32), torch.from_numpy(weights).float()
    codes, loss = binarizer(weight), binarizer.take_auxiliary_loss()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(binarizer(weight), codes)
        assert torch.equal(binarizer.take_auxiliary_loss(), loss)
        # Elsewhere the same weights are rounded.
        image = torch.randn(1, 2, 5, 5)
        assert functional.conv2d(image, weight).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss_weight": -1.0}, "needs loss_weight >= 0"),
        ({"flip_rate": 0.5}, "needs 0 <= flip_rate < 0.5"),
        ({"flip_rate": -0.1}, "needs 0 <= flip_rate < 0.5"),
    ],
)
def test_wrong_options_are_said(options, said):
    with pytest.raises(ValueError, match=said):
        get_method({**METHOD, **options})
