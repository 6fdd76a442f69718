"""Converted networks exported: groups and linear layers exact, the rest by name."""

from __future__ import annotations

import pytest
import torch
from matrix import FULL
from torch import nn

from cmim.convert import convert
from cmim.deploy.binary_layer import ExportError, read_layer
from cmim.deploy.formats.npz import compare_layers
from cmim.deploy.numpy_reference import load_network
from cmim.deploy.packed_conv import (
    PackedConv,
    PackedGroups,
    PackedLinear,
    pack_layer,
    pack_network,
)
from cmim.deploy.raw_trace import build_program
from cmim.layers import BinaryConv2d, BinaryConvTranspose2d, BinaryLinear
from cmim.layers.tokens import TokenActivation
from cmim.methods import get_method

METHODS = ("bireal", "reactnet", "dorefa", "abc_net")
X = torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(1))
# Thresholds are values of X: another picture has none that rounding moves across them.
Y = torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(2))


class Tokens(nn.Module):
    """A linear layer on channels last."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def network(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), *layers, nn.Conv2d(16, 2, 1))


def converted(method: str, *layers: nn.Module) -> nn.Module:
    binary, _ = convert(network(*layers), method, pictures=X)
    return binary.eval().requires_grad_(False)


def every_kind() -> list[nn.Module]:
    grouped = nn.Conv2d(16, 16, 3, 2, 1, groups=2)
    return [nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU(), grouped, Tokens(16, 16)]


@pytest.mark.parametrize("method", METHODS)
@torch.no_grad()
def test_packed_networks_give_what_torch_gives(method):
    binary = converted(method, *every_kind())
    core, names = pack_network(binary, X)
    assert names == ["1.conv", "3.conv", "4.linear.conv"]
    kinds = [type(core.get_submodule(name)) for name in names]
    assert kinds == [PackedConv, PackedGroups, PackedLinear]
    torch.testing.assert_close(core(X), binary(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=FULL if m != "reactnet" else ()) for m in METHODS]
)
@torch.no_grad()
def test_layers_are_exact_in_openvino(method):
    pytest.importorskip("openvino")
    from cmim.deploy.openvino_export import convert_packed
    from cmim.deploy.shared_core import shared_core
    from cmim.deploy.verify import verify_layers

    core, _ = pack_network(converted(method, *every_kind()), X)
    rows = verify_layers(core, X)
    assert len(rows) == 4  # two groups
    assert min(row["values"] for row in rows) > 0
    assert not [row for row in rows if row["wrong"]]
    assert max(row["scaled_difference"] for row in rows) < 1e-6
    compiled = shared_core().compile_model(
        convert_packed(core, X), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    expected = core(Y)
    ours = torch.from_numpy(compiled(Y.numpy())[0])
    off = (ours - expected).abs() > 1e-3 * expected.abs().max()
    assert off.float().mean() < 0.02


class Vectors(nn.Module):
    """Linear layers on a vector, behind a pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3)
        self.hidden, self.second = nn.Linear(16, 24), nn.Linear(24, 8)
        self.classifier = nn.Linear(8, 5)

    def forward(self, x):
        x = self.second(self.hidden(self.stem(x).mean((2, 3))).relu())
        return self.classifier(x)


def raw_cases() -> dict[str, nn.Module]:
    groups = nn.Conv2d(16, 32, 3, 2, 1, groups=2)
    torch.manual_seed(0)
    return dict(
        plain=network(nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU()),
        grouped=network(groups, nn.BatchNorm2d(32), nn.Conv2d(32, 16, 1)),
        vectors=Vectors(),
    )


@pytest.mark.full
@pytest.mark.parametrize("method", ["reactnet", "dorefa", "abc_net"])
@pytest.mark.parametrize("kind", ["plain", "grouped", "vectors"])
@torch.no_grad()
def test_layers_are_exact_in_numpy(kind, method, tmp_path):
    binary, rows = convert(raw_cases()[kind], method, pictures=X)
    core, names = pack_network(binary.eval().requires_grad_(False), X)
    assert names == [f"{row.name}.conv" for row in rows if row.became]
    build_program(core, X[:1]).save(tmp_path / "net.npz")
    read = load_network(tmp_path / "net.npz")
    compared, expected = compare_layers(read, core, Y)
    if kind == "grouped":
        names[0:1] = ["1.conv.0", "1.conv.1"]
    assert [row["layer"] for row in compared] == names
    assert not [row for row in compared if row["wrong"]]
    ours = torch.from_numpy(read.run(Y.numpy()))
    torch.testing.assert_close(ours, expected[0], rtol=1e-4, atol=1e-5)
    known = {"conv", "linear", "affine", "relu", "mean"}
    known |= {"binary_conv", "slice", "concat", "reshape"}
    assert {step["op"] for step in read.steps} <= known


@pytest.mark.full
@torch.no_grad()
def test_tokens_in_the_raw_format_are_refused_by_name():
    core, _ = pack_network(converted("bireal", Tokens(16, 16)), X)
    with pytest.raises(ExportError, match=r"^1.*: the raw format has no aten"):
        build_program(core, X[:1])


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x.transpose(1, 2), "no transposition of 3 by 12"),
        (lambda x: x.mean(3, True).transpose(1, 3), "no transposition of 3 by 12"),
    ],
)
def test_transpositions_of_more_than_a_line_are_refused(function, said):
    class Operation(nn.Module):
        def forward(self, x):
            return function(x)

    with pytest.raises(ExportError, match=f"the raw format has {said}"):
        build_program(Operation(), X[:1])


@pytest.mark.parametrize(
    ("layer", "method", "said"),
    [
        (
            nn.ConvTranspose2d(16, 16, 2, 2),
            "bireal",
            "1.conv: a BinaryConvTranspose2d on binary activations has no exported",
        ),
        (
            nn.Conv2d(16, 16, 3, 1, 1, groups=4),
            "bireal",
            "1.conv: its groups have 4 channels; groups of 8 and more are exported",
        ),
    ],
)
def test_layers_without_an_exported_form_are_refused_by_name(layer, method, said):
    with pytest.raises(ExportError, match=" ") as error:
        pack_network(converted(method, layer), X)
    assert str(error.value).startswith(said)


def test_a_centred_activation_sees_more_than_a_group():
    method = get_method("rbnn")
    conv = BinaryConv2d(16, 4, 3, method=method, groups=2).eval()
    with pytest.raises(ExportError, match="centred over all channels, which groups do"):
        pack_layer("conv", conv, method.activation(16).eval())


@pytest.mark.parametrize("shape", [(3, 16), (3, 7, 16), (2, 4, 5, 16)])
@pytest.mark.parametrize("method", ["bireal", "reactnet", "rbnn", "dorefa"])
@torch.no_grad()
def test_a_packed_linear_layer_for_any_number_of_dimensions(shape, method):
    chosen = get_method(method)
    torch.manual_seed(0)
    layer = BinaryLinear(16, 6, method=chosen).eval()
    binarize = TokenActivation(chosen.activation(16)).eval()
    for parameter in binarize.parameters():
        parameter += torch.randn(parameter.shape)
    x = torch.randn(shape)
    ours = pack_layer("linear", layer, binarize)(x)
    assert ours.shape == (*shape[:-1], 6)
    torch.testing.assert_close(ours, layer(binarize(x)))


@pytest.mark.parametrize("groups", [1, 2, 4])
@torch.no_grad()
def test_packed_groups_are_the_grouped_convolution(groups):
    chosen = get_method("reactnet")
    torch.manual_seed(0)
    conv = BinaryConv2d(32, 12, 3, method=chosen, groups=groups, stride=2).eval()
    binarize = chosen.activation(32).eval()
    binarize.shift.copy_(torch.randn(32))
    x = torch.randn(2, 32, 7, 8)
    packed = pack_layer("conv", conv, binarize)
    assert isinstance(packed, PackedConv if groups == 1 else PackedGroups)
    torch.testing.assert_close(packed(x), conv(binarize(x)))
    assert read_layer("conv", conv, binarize).shape == (12, 32 // groups, 3, 3)


@torch.no_grad()
def test_weights_alone_become_layers_of_torch():
    """Without an activation binarizer all are plain layers, transposed ones too."""
    kinds = [nn.ConvTranspose2d(16, 16, 2, 2), nn.Conv2d(16, 16, 3, groups=8)]
    binary = converted("binary_connect", *kinds, Tokens(16, 16))
    core, packed = pack_network(binary, X)
    assert packed == []
    assert type(core[1].conv) is nn.ConvTranspose2d
    assert type(core[3].linear.conv) is nn.Linear
    torch.testing.assert_close(core(X), binary(X))
    assert isinstance(binary[1].conv, BinaryConvTranspose2d)
