"""Constants are exactly centred, whatever their value, size and precision."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cmim.functional.bases import shifted_signs
from cmim.functional.centred import bounded_mean, variance_of_centred
from cmim.functional.distribution_adaptive import spatial_mean
from cmim.functional.rotation import centred_parabolic_sign, sample_mean
from cmim.functional.standardize import standardize_filters
from cmim.methods import get_method

VALUES = (-0.99, 0.1, 1 / 3, 7.7, -1e-3, 3e4, 1e-20)
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
every_constant = pytest.mark.parametrize("value", VALUES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
SHAPES = [(2, 9), (3, 18, 3, 3), (1, 1, 49), (2, 64, 3, 3)]


@every_constant
@every_dtype
def test_nothing_is_left_of_a_constant(value, dtype):
    for shape in SHAPES:
        x = torch.full(shape, value, dtype=dtype)
        assert not (x - bounded_mean(x)).any()
        assert not standardize_filters(x).any()
        assert (centred_parabolic_sign(x, torch.tensor(1.0)) == 1).all()
        if x.dim() > 2:
            assert not (x - spatial_mean(x)).any()
        if dtype != torch.bfloat16:
            codes = shifted_signs(x, 3, per_filter=True)
            assert all((code == 1).all() for code in codes)


@every_constant
@every_dtype
def test_a_constant_sample_has_no_gradient(value, dtype):
    x = torch.full((1, 64, 7), value, dtype=dtype, requires_grad=True)
    y = centred_parabolic_sign(x, torch.tensor(1.0))
    (y * torch.randn(y.shape).to(dtype)).sum().backward()
    assert not x.grad.any()


@pytest.mark.parametrize("name", ["irnet", "rbnn", "recu", "abc_net", "adabin"])
@pytest.mark.parametrize("value", [-0.99, 0.1, 1 / 3])
def test_codes_of_a_constant_filter_are_plus_one(name, value):
    shape = (2, 6, 3, 3)
    binarizer = get_method(name).weight(shape).eval()
    for _, codes in binarizer.terms(torch.full(shape, value)):
        # RBNN rotates zeros, which stay zeros.
        assert (codes == 1).all()


def test_a_constant_among_others_keeps_them_as_they_are():
    x = torch.randn(4, 5, 6)
    x[2] = 0.1
    plain = x.mean((1, 2), keepdim=True)
    others = [0, 1, 3]
    assert torch.equal(bounded_mean(x)[others], plain[others])
    centred = x - bounded_mean(x)
    variance = variance_of_centred(centred, (1, 2)).flatten()
    assert (variance == 0).tolist() == [False, False, True, False]
    torch.testing.assert_close(variance[others], x[others].var((1, 2)))


def test_its_gradient_is_that_of_the_mean():
    x = torch.full((2, 5), 0.1, requires_grad=True)
    bounded_mean(x).sum().backward()
    assert x.grad.tolist() == [[pytest.approx(0.2)] * 5] * 2


def test_nan_is_seen():
    x = torch.tensor([[1.0, torch.nan], [1.0, 2.0]])
    assert sample_mean(x).isnan().flatten().tolist() == [True, False]


class _Reductions(TorchDispatchMode):
    """The reductions that run; those of the variance are the slow ones on a CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in ("amin", "amax", "aminmax", "var", "var_mean", "mean", "sum"):
            self.names.append(name)
        return func(*args, **(kwargs or {}))


def test_the_backward_pass_looks_for_no_constants_again():
    x = torch.randn(2, 3, 4, requires_grad=True)
    with _Reductions() as forward:
        y = centred_parabolic_sign(x, torch.tensor(1.0))
    with _Reductions() as backward:
        torch.autograd.grad(y, x, torch.ones_like(y))
    assert sorted(forward.names) == ["amax", "amin", "mean"]
    assert sorted(backward.names) == ["mean", "sum", "sum"]
