"""Raw programs of whole networks against torch, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from network_cases import (
    ADDITIONS,
    ENCODERS,
    REAL_ACTIVATIONS,
    check_alike,
    disturb,
    images,
    make,
)
from operation_cases import OPERATIONS, Operation, rounding
from torch import nn

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.formats.npz import compare_layers
from cmim.deploy.numpy_reference import load_network
from cmim.deploy.packed_conv import pack_network
from cmim.deploy.raw_program import Program
from cmim.deploy.raw_trace import build_program
from cmim.encoders import BinaryVGGSmall
from cmim.methods import available_methods
from tasks.classification.head import LinearHead
from tasks.depth.head import DepthHead
from tasks.segmentation.deeplab import DeepLabHead

CHOSEN = [
    ("resnet18", "bireal+bidense_bypass"),
    ("resnet20_plain", "rbnn"),
    ("vgg_small", "xnor_net_pp"),
]


def check_encoder(name: str, method: str, path) -> None:
    encoder, x = make(name, method), images(4, 40, 48)
    core, names = pack_network(encoder, x)
    build_program(core, x[:1]).save(path)
    network = load_network(path)
    assert len(names) == (0 if method in REAL_ACTIVATIONS else ENCODERS[name][2])
    rows, expected = compare_layers(network, core, x)
    assert sorted(row["layer"] for row in rows) == sorted(names)
    assert not [row for row in rows if row["wrong"]]
    ours = network.run(x.numpy())
    check_alike(ours, expected)
    check_alike(ours, encoder(x))
    alone = network.run(x[1:2].numpy())
    check_alike([out[1:2] for out in ours], [torch.from_numpy(out) for out in alone])


@pytest.mark.parametrize(
    ("name", "method"),
    [*(pytest.param(*c, marks=pytest.mark.full) for c in CHOSEN[:2]), CHOSEN[2]],
)
def test_an_encoder_in_numpy_is_the_one_in_torch(name, method, tmp_path):
    check_encoder(name, method, tmp_path / "encoder.npz")


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("method", [*available_methods(), *ADDITIONS])
def test_every_method_in_every_encoder(name, method, tmp_path):
    if (name, method) not in CHOSEN:
        check_encoder(name, method, tmp_path / "encoder.npz")


class Joined(nn.Module):
    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, x):
        return self.head(self.encoder(x))


def with_head(kind: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    encoder = BinaryVGGSmall(method="bireal", base_channels=8)
    options = dict(in_channels=32, channels=8, dilations=(1, 2), method="reactnet")
    if kind == "linear_flat":
        head: nn.Module = LinearHead(32 * 16, 10, pool=False)
    elif kind == "depth":
        head = DepthHead(**options, binary_projection=True)
    else:
        head = DeepLabHead(**options, num_classes=5)
    return disturb(Joined(encoder, head).eval()), images(3, 32, 32)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["linear_flat", "depth", "deeplab"])
def test_a_network_with_its_head(kind):
    model, x = with_head(kind)
    core, _ = pack_network(model, x)
    network = build_program(core, x).network()
    rows, expected = compare_layers(network, core, x)
    assert len(rows) == sum(step["op"] == "binary_conv" for step in network.steps) > 4
    assert not [row for row in rows if row["wrong"]]
    ours = network.run(x.numpy())
    check_alike([ours], expected)
    if kind == "deeplab":
        assert (ours.argmax(1) == expected[0].numpy().argmax(1)).mean() > 0.98


@pytest.mark.full
@pytest.mark.parametrize("name", OPERATIONS)
@torch.no_grad()
def test_an_operation_is_that_of_torch(name):
    torch.manual_seed(0)
    module, x = OPERATIONS[name].eval(), images(3, 9, 11)
    network = build_program(module, x[:1]).network()
    ours = network.run(x.numpy())
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, module(x), rtol=1e-5, atol=rounding(name))


def program_of(*modules: nn.Module) -> Program:
    return build_program(nn.Sequential(*modules).eval(), images(1, 6, 6))


def test_batch_norm_is_part_of_a_convolution_in_front_of_it():
    norms = [disturb(nn.BatchNorm2d(4)) for _ in range(2)]
    program = program_of(nn.Conv2d(3, 4, 1), *norms, nn.ReLU(), norms[0])
    assert [step.op for step in program.steps] == ["conv", "relu", "affine"]


def test_a_value_that_is_read_twice_stays():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), disturb(nn.BatchNorm2d(3))

        def forward(self, x):
            x = self.conv(x)
            return self.norm(x) + x

    module, x = Twice().eval(), images(2, 4, 4)
    program = build_program(module, x)
    assert [step.op for step in program.steps] == ["conv", "affine", "add"]
    ours = program.network().run(x.numpy())
    np.testing.assert_allclose(ours, module(x).detach(), rtol=1e-5, atol=1e-6)


def test_an_output_in_between_stays():
    norm = disturb(nn.BatchNorm2d(4))

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), norm

        def forward(self, x):
            x = self.conv(x)
            return x, self.norm(x)

    program = build_program(Both().eval(), images(1, 4, 4))
    assert [step.op for step in program.steps] == ["conv", "affine"]
    assert len(program.network().run(images(2, 4, 4).numpy())) == 2


def test_binary_layers_keep_their_scales():
    core, _ = pack_network(make("vgg_small", "bireal"), images(1, 16, 16))
    steps = build_program(core, images(1, 16, 16)).steps
    binary = [step for step in steps if step.op == "binary_conv"]
    assert [step.name for step in binary[:2]] == [
        "layer1.unit1.conv",
        "layer2.unit1.conv",
    ]
    scale = core.get_submodule("layer1.unit1.conv").layer.terms[0].scale
    np.testing.assert_array_equal(binary[0].arrays["scales"][0], scale)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Softplus(), r"^1: the raw format has no aten\.softplus: export to .xml"),
        (nn.AvgPool2d(3, 1, 1), "1: the raw format has no mean that counts padding"),
        (nn.ReflectionPad2d(1), "1: the raw format has no padding of mode 'reflect'"),
        (Operation(lambda x: x.flatten(0, 1)), r"1: aten\.\w+ mixes the images"),
        (Operation(lambda x: x.mean(0, True)), r"1: aten\.mean mixes the images"),
        (Operation(lambda x: x + torch.ones(2, 1, 1, 1)), "differs between images"),
    ],
)
def test_what_the_vocabulary_lacks_is_refused_by_name(module, message):
    with pytest.raises(ExportError, match=message):
        program_of(nn.ReLU(), module)
