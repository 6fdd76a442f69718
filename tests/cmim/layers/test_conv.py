"""BinaryConv2d against plain convolutions and NumPy, and its evaluation cache."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.layers.conv import BinaryConv2d, make_activation, make_conv
from cmim.methods import Scheduled, available_methods, get_method

BINARY = [name for name in available_methods() if get_method(name).weight]
every_binary_method = pytest.mark.parametrize("name", BINARY)
GEOMETRIES = [(1, 0, 1), (1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 4, 4), (3, 0, 2)]
every_geometry = pytest.mark.parametrize(
    ("stride", "padding", "dilation"), GEOMETRIES, ids=str
)


def make_binary(name: str = "bireal", **geometry: int) -> BinaryConv2d:
    torch.manual_seed(0)
    return BinaryConv2d(3, 4, 3, get_method(name).weight((4, 3, 3, 3)), **geometry)


def signs(*shape: int) -> Tensor:
    torch.manual_seed(1)
    return torch.where(torch.randn(shape) < 0, -1.0, 1.0)


def expected_output(conv: BinaryConv2d, x: Tensor) -> Tensor:
    """The convolution with the sum of scales times codes, computed afresh."""
    terms = conv.weight_binarizer.terms(conv.weight)
    binary = sum(scale * codes for scale, codes in terms)
    return F.conv2d(x, binary, None, conv.stride, conv.padding, conv.dilation)


def numpy_weight_gradient(
    x: np.ndarray, upstream: np.ndarray, weight: np.ndarray, conv: BinaryConv2d
) -> np.ndarray:
    """Correlation of padded input and upstream gradient, inside |w| <= 1 only."""
    stride, padding, dilation = conv.stride[0], conv.padding[0], conv.dilation[0]
    edge = (padding, padding)
    padded = np.pad(x, ((0, 0), (0, 0), edge, edge))
    gradient = np.zeros_like(weight)
    for row, column in np.ndindex(weight.shape[2:]):
        for i, j in np.ndindex(upstream.shape[2:]):
            pixel = padded[:, :, i * stride + row * dilation, :]
            pixel = pixel[:, :, j * stride + column * dilation]
            gradient[:, :, row, column] += upstream[:, :, i, j].T @ pixel
    return gradient * ((weight >= -1) & (weight <= 1))


@every_binary_method
@every_geometry
@pytest.mark.parametrize("training", [True, False])
def test_is_a_convolution_with_the_sum_of_scale_times_sign(
    name, stride, padding, dilation, training
):
    conv = make_binary(name, stride=stride, padding=padding, dilation=dilation)
    conv.train(training)
    if isinstance(conv.weight_binarizer, Scheduled):
        # Before its end training may see something softer.
        conv.weight_binarizer.set_progress(1.0)
    x = signs(2, 3, 11, 10)
    assert torch.equal(conv(x), expected_output(conv, x))
    with torch.no_grad():
        assert torch.equal(conv(x), expected_output(conv, x))


@every_geometry
def test_size_follows_stride_padding_and_dilation(stride, padding, dilation):
    conv = make_binary(stride=stride, padding=padding, dilation=dilation)
    size = [(n + 2 * padding - 2 * dilation - 1) // stride + 1 for n in (11, 10)]
    assert conv(signs(2, 3, 11, 10)).shape == (2, 4, *size)


def test_borders_are_true_zeros():
    conv = make_binary(padding=1)
    nn.init.constant_(conv.weight, 0.5)
    output = conv(torch.ones(1, 3, 3, 3))[0, 0]
    # 3 channels x 0.5 x the number of pixels under the kernel.
    assert output.tolist() == [[6.0, 9.0, 6.0], [9.0, 13.5, 9.0], [6.0, 9.0, 6.0]]


def test_only_the_latent_weights_are_state_and_there_is_no_bias():
    conv = make_binary()
    with torch.no_grad():
        conv.eval()(signs(1, 3, 5, 5))
    assert list(conv.state_dict()) == ["weight"]
    conv.load_state_dict(nn.Conv2d(3, 4, 3, bias=False).state_dict())


@pytest.mark.parametrize("magnitude_aware", [False, True])
@every_geometry
def test_latent_gradient_equals_numpy(stride, padding, dilation, magnitude_aware):
    method = get_method({"name": "bireal", "magnitude_aware": magnitude_aware})
    conv = BinaryConv2d(
        3, 4, 3, method.weight((4, 3, 3, 3)), stride, padding, dilation
    ).double()
    torch.manual_seed(0)
    nn.init.normal_(conv.weight)
    conv.weight.data[0, 0, 0] = torch.tensor([0.0, 1.0, -1.0]).double()
    conv.weight.data[1, 0, 0] = torch.tensor([-0.0, 1.0 + 1e-15, -1.5]).double()
    x = signs(2, 3, 11, 10).double()
    output = conv(x)
    upstream = torch.randn_like(output)
    output.backward(upstream)
    weight = conv.weight.detach().numpy()
    expected = numpy_weight_gradient(x.numpy(), upstream.numpy(), weight, conv)
    if magnitude_aware:
        expected *= np.abs(weight).mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(conv.weight.grad.numpy(), expected, atol=1e-12)
    assert (expected == 0).any()


def count_binarizations(conv: BinaryConv2d) -> list[int]:
    """A list that grows by one entry each time the weights are binarized."""
    calls: list[int] = []
    conv.weight_binarizer.register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_evaluation_binarizes_once():
    conv, x = make_binary().eval(), signs(1, 3, 5, 5)
    calls = count_binarizations(conv)
    with torch.no_grad():
        first = conv(x)
        assert torch.equal(conv(x), first)
    assert len(calls) == 1


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_kept_while_gradients_are_on_or_in_training(training):
    conv, x = make_binary().train(training), signs(1, 3, 5, 5)
    calls = count_binarizations(conv)
    with torch.set_grad_enabled(not training):
        conv(x)
        conv(x)
    assert len(calls) == 2


def test_gradients_flow_after_an_evaluation_without_them():
    conv, x = make_binary().eval(), signs(1, 3, 5, 5)
    with torch.no_grad():
        conv(x)
    conv(x).sum().backward()
    assert conv.weight.grad.abs().sum() > 0


def take_optimizer_step(conv: BinaryConv2d) -> None:
    conv.weight.grad = conv.weight.detach().sign() * 9
    torch.optim.SGD(conv.parameters(), lr=1.0).step()


def changed(weight: Tensor) -> Tensor:
    """Other signs and other magnitudes at each place."""
    return -2 * weight.detach().roll(1)


def load_weights(conv: BinaryConv2d, assign: bool = False) -> None:
    state = {**conv.state_dict(), "weight": changed(conv.weight)}
    conv.load_state_dict(state, assign=assign)


def edit_in_place(conv: BinaryConv2d) -> None:
    with torch.no_grad():
        conv.weight.copy_(changed(conv.weight))


def replace_data(conv: BinaryConv2d) -> None:
    conv.weight.data = changed(conv.weight)


def replace_parameter(conv: BinaryConv2d) -> None:
    conv.weight = nn.Parameter(changed(conv.weight))


def edit_data_and_evaluate(conv: BinaryConv2d) -> None:
    """Autograd sees no edit through ``.data``; a loop's ``eval()`` announces it."""
    conv.weight.data.copy_(changed(conv.weight))
    conv.eval()


CHANGES = [
    take_optimizer_step,
    load_weights,
    lambda conv: load_weights(conv, assign=True),
    edit_in_place,
    replace_data,
    replace_parameter,
    edit_data_and_evaluate,
]


@every_binary_method
@pytest.mark.parametrize("change", CHANGES)
@torch.no_grad()
def test_cache_follows_every_change_of_the_weights(name, change):
    conv, x = make_binary(name).eval(), signs(1, 3, 6, 6)
    stale = conv(x)
    for _ in range(3):
        change(conv)
        assert torch.equal(conv(x), expected_output(conv, x))
        assert not torch.equal(conv(x), stale)
        stale = conv(x)


@torch.no_grad()
def test_cache_is_not_fooled_by_weights_at_a_freed_address():
    conv, x = make_binary().eval(), signs(1, 3, 6, 6)
    for _ in range(30):
        conv(x)
        conv.weight.data = torch.randn(4, 3, 3, 3)
        conv.weight.data = torch.randn(4, 3, 3, 3)
        assert torch.equal(conv(x), expected_output(conv, x))


@every_binary_method
@torch.no_grad()
def test_cache_follows_the_dtype(name):
    conv, x = make_binary(name).eval(), signs(1, 3, 6, 6)
    conv(x)
    for dtype in (torch.float64, torch.bfloat16, torch.float32):
        conv.to(dtype)
        assert conv(x.to(dtype)).dtype == dtype
        assert torch.equal(conv(x.to(dtype)), expected_output(conv, x.to(dtype)))


@pytest.mark.parametrize("change", [edit_in_place, replace_data])
@torch.no_grad()
def test_copies_and_pickles_carry_no_cache(change):
    conv, x = make_binary().eval(), signs(1, 3, 6, 6)
    empty = len(pickle.dumps(conv))
    before = conv(x)
    assert len(pickle.dumps(conv)) == empty
    for twin in (copy.deepcopy(conv), pickle.loads(pickle.dumps(conv))):
        calls = count_binarizations(twin)
        assert torch.equal(twin(x), before)
        assert len(calls) == 1
        change(twin)
        assert torch.equal(twin(x), expected_output(twin, x))
        assert torch.equal(conv(x), before)


def test_runs_in_inference_mode_on_weights_made_there():
    with torch.inference_mode():
        conv, x = make_binary().eval(), signs(1, 3, 5, 5)
        assert torch.equal(conv(x), expected_output(conv, x))
        conv.weight.copy_(changed(conv.weight))
        assert torch.equal(conv(x), expected_output(conv, x))


@pytest.mark.parametrize("name", available_methods())
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_make_conv_pads_to_the_same_size(name, kernel_size):
    conv = make_conv(get_method(name), 3, 4, kernel_size, dilation=3)
    assert isinstance(conv, BinaryConv2d) == (name in BINARY)
    assert conv.bias is None
    assert conv(signs(1, 3, 9, 8)).shape == (1, 4, 9, 8)
    strided = make_conv(get_method(name), 3, 4, kernel_size, stride=2)
    assert strided(signs(1, 3, 9, 8)).shape == (1, 4, 5, 4)


@pytest.mark.parametrize("name", available_methods())
def test_make_activation_is_the_identity_only_without_binarizer(name):
    module = make_activation(get_method(name), 4)
    assert isinstance(module, nn.Identity) == (get_method(name).activation is None)
