"""``relu='drop'``: non-linearities that binary layers alone read."""

from __future__ import annotations

import pytest
import torch
from convert_cases import Chain, pictures
from torch import nn

from cmim.convert import convert
from cmim.convert.place import full_precision

X = pictures(3, 3, 12, 14)


@pytest.mark.parametrize("inplace", [False, True])
def test_a_chain_loses_what_stands_in_front_of_binary_layers(inplace):
    torch.manual_seed(0)
    network = Chain(5, inplace)
    binary, _ = convert(network, "bireal", relu="drop", example=X)
    kinds = [type(module).__name__ for module in list(binary)[1::2]]
    # The last convolution stays, and so does the non-linearity in front of it.
    assert kinds == ["Identity", "Identity", "Identity", "ReLU"]
    kept, _ = convert(network, "bireal", example=X)
    assert [type(m).__name__ for m in list(kept)[1::2]] == ["ReLU"] * 4
    with full_precision(binary), torch.no_grad():
        torch.testing.assert_close(binary(X), network(X))


@pytest.mark.parametrize("inplace", [False, True])
def test_thresholds_are_those_of_what_the_layer_sees_then(inplace):
    """Without the ReLU half of the values are below: it must not write over them."""
    torch.manual_seed(0)
    network = Chain(3, inplace)
    binary, _ = convert(network, "bireal", relu="drop", pictures=X)
    seen = binary[0](X)
    codes = binary[2].binarize(seen)
    assert codes.mean((0, 2, 3)).abs().max() < 1e-3
    middle = seen.movedim(1, 0).flatten(1).sort(dim=1).values[:, X[:, 0].numel() // 2]
    torch.testing.assert_close(binary[2].binarize.shift, middle)
    assert (middle < 0).any()


class Block(nn.Module):
    def __init__(self, inplace: bool, before: bool) -> None:
        super().__init__()
        self.stem, self.relu = nn.Conv2d(3, 8, 1), nn.ReLU(inplace)
        self.conv, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 2, 1)
        self.before = before

    def forward(self, x):
        x = self.stem(x)
        y = self.relu(x)
        return self.head(self.conv(y) + (x if self.before else y))


@pytest.mark.parametrize(("inplace", "before"), [(0, 0), (1, 0), (1, 1)])
def test_a_shortcut_that_reads_it_too_is_refused(inplace, before):
    """In place, what was read before it is its output as well."""
    with pytest.raises(ValueError, match="read by something else, too, such as a"):
        convert(Block(bool(inplace), bool(before)), "bireal", relu="drop", example=X)


def test_a_shortcut_around_it_is_none_of_its_readers():
    binary, _ = convert(Block(False, True), "bireal", relu="drop", pictures=X)
    assert isinstance(binary.relu, nn.Identity)
    assert isinstance(binary.conv.former, nn.ReLU)


def test_one_that_two_layers_read_or_full_precision_reads_stays():
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.relu = nn.Conv2d(3, 8, 1), nn.ReLU()
            self.a, self.b = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
            self.head = nn.Conv2d(8, 2, 1)

        def forward(self, x):
            x = self.relu(self.stem(x))
            return self.head(self.a(x) + self.b(x))

    for keep in ([], ["b"]):
        binary, _ = convert(Forked(), "bireal", keep=keep, relu="drop", example=X)
        assert isinstance(binary.relu, nn.ReLU)


def test_networks_that_give_dictionaries():
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = Chain(3)

        def forward(self, x):
            return {"out": self.parts(x), "more": [x]}

    binary, _ = convert(Named(), "bireal", relu="drop", pictures=X)
    assert isinstance(binary.parts[1], nn.Identity)
