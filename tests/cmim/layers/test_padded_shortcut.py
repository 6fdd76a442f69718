"""PaddedShortcut: subsampling and zeros, nothing learned."""

from __future__ import annotations

import pytest
import torch

from cmim.layers.padded_shortcut import PaddedShortcut


@pytest.mark.parametrize(
    ("channels", "before"), [((4, 8), 2), ((3, 8), 2), ((5, 5), 0)]
)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 1)], ids=str)
def test_is_every_stride_th_pixel_between_zero_channels(channels, before, stride, size):
    x = torch.randn(2, channels[0], *size)
    y = PaddedShortcut(*channels, stride)(x)
    expected = torch.zeros(2, channels[1], -(-size[0] // stride), -(-size[1] // stride))
    for i in range(expected.shape[2]):
        for j in range(expected.shape[3]):
            pixel = x[:, :, stride * i, stride * j]
            expected[:, before : before + channels[0], i, j] = pixel
    assert torch.equal(y, expected)


def test_has_no_parameters_and_refuses_fewer_channels():
    assert not PaddedShortcut(4, 8, 2).state_dict()
    with pytest.raises(ValueError, match="cannot go from 8 to 4 channels"):
        PaddedShortcut(8, 4, 2)
