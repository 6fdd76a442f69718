"""Widths of surrogates: the gain against NumPy, and gradients through many layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cmim.convert import convert
from cmim.convert.width import gradient_gain, steady_width
from cmim.methods import get_method

# In units of the mean distance from 0; of normal values.
X = np.random.default_rng(0).normal(size=(400, 3)) / np.sqrt(2 / np.pi)


def as_maps(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).float()[..., None, None]


def by_numpy(x: np.ndarray, slope) -> float:
    codes = np.where(x >= 0, 1.0, -1.0)
    parts = (slope(x) ** 2).mean(0) * x.var(0) / codes.var(0)
    return float(np.sqrt(parts.mean()))


SLOPES = {
    "bireal": lambda x: np.maximum(2 - 2 * np.abs(x), 0),
    "reactnet": lambda x: np.maximum(2 - 2 * np.abs(x), 0),
    "bnn": lambda x: (np.abs(x) <= 1).astype(float),
}


@pytest.mark.parametrize("method", SLOPES)
@pytest.mark.parametrize("width", [0.7, 1.0, 2.5])
def test_the_gain_is_that_of_numpy(method, width):
    binarize = get_method(method).activation(3)
    found = gradient_gain(binarize, as_maps(X / width))
    assert found == pytest.approx(by_numpy(X / width, SLOPES[method]), rel=1e-5)


@pytest.mark.parametrize("method", SLOPES)
def test_the_width_has_a_gain_of_one(method):
    width = steady_width(get_method(method).activation(3), as_maps(X))
    assert by_numpy(X / width, SLOPES[method]) == pytest.approx(1, abs=5e-3)


def test_channels_that_never_change_do_not_count():
    still = np.concatenate([X, np.full((400, 1), 3.0)], axis=1)
    wider = gradient_gain(get_method("bireal").activation(4), as_maps(still))
    alone = gradient_gain(get_method("bireal").activation(3), as_maps(X))
    assert wider == pytest.approx(alone, rel=1e-6)
    assert np.isnan(
        gradient_gain(get_method("bnn").activation(1), as_maps(X[:, :1] * 0))
    )


@pytest.mark.parametrize("method", ["biper", "recu"])
def test_one_that_scales_its_input_by_itself_is_left_alone(method):
    assert steady_width(get_method(method).activation(3), as_maps(X)) == 1.0


class Deep(nn.Sequential):
    """24 normalised layers without a shortcut."""

    def __init__(self, layers: int = 24, channels: int = 24) -> None:
        parts: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1)]
        for _ in range(layers):
            parts += [nn.BatchNorm2d(channels), nn.Conv2d(channels, channels, 1)]
        super().__init__(*parts, nn.BatchNorm2d(channels))


@pytest.mark.parametrize("method", ["bireal", "reactnet", "bnn", "irnet"])
def test_gradients_keep_their_size_through_many_layers(method):
    torch.manual_seed(0)
    pictures = torch.randn(4, 3, 16, 16)
    binary, _ = convert(Deep(), method, pictures=pictures)
    norms = [m for m in binary.train() if isinstance(m, nn.BatchNorm2d)]
    seen: list[torch.Tensor] = []
    for norm in (norms[0], norms[-2]):
        norm.register_full_backward_hook(lambda m, _, grads: seen.append(grads[0]))
    out = binary(pictures)
    (out * torch.randn_like(out)).sum().backward()
    deep, shallow = (float(grad.norm()) for grad in seen)
    # 23 layers of 1.17, as where surrogates are as wide as the spread, make 37.
    assert 1 / 4 < shallow / deep < 4
