"""The layers beside the binary ones in 8 bits.

In float32 beside them, as all that this project runs: with the engine's own choice,
bfloat16 where the CPU has it, 8-bit layers give NaN under ``ONEDNN_MAX_CPU_ISA=AVX2``.
"""

from __future__ import annotations

import pytest

pytest.importorskip("openvino")
pytest.importorskip("nncf")

import numpy as np
import torch
from limited import skip_without_binary_layers
from torch import nn

from cmim.deploy.openvino_export import convert_packed
from cmim.deploy.packed_conv import pack_network
from cmim.deploy.quantize import quantize_rest
from cmim.deploy.shared_core import FLOAT32, shared_core
from cmim.encoders import BinaryResNet


@pytest.fixture
def binary_layers() -> None:
    skip_without_binary_layers()


def packed_encoder():
    torch.manual_seed(0)
    encoder = BinaryResNet(depth=20, base_channels=8, stem="cifar").eval()
    example = torch.randn(1, 3, 24, 24)
    core, names = pack_network(Last(encoder), example)
    with torch.no_grad():
        core(example)
    return convert_packed(core, example), names, core


class Last(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x):
        return self.encoder(x)[-1]


def kinds(model) -> list[str]:
    return [op.get_type_name() for op in model.get_ops()]


@pytest.mark.full
@pytest.mark.usefixtures("binary_layers")
def test_binary_convolutions_stay_and_the_others_get_8_bits():
    model, names, _ = packed_encoder()
    images = [torch.randn(1, 3, 24, 24) for _ in range(4)]
    found = quantize_rest(model, images)
    assert kinds(found).count("BinaryConvolution") == len(names) == 18
    assert kinds(found).count("FakeQuantize") > kinds(model).count("FakeQuantize")
    types = {
        c.get_element_type().get_type_name()
        for c in found.get_ops()
        if c.get_type_name() == "Constant"
    }
    assert {"i8", "u1"} <= types
    # The model given is left as it was.
    assert kinds(model).count("FakeQuantize") == 18


@torch.no_grad()
def test_eight_bits_are_close_to_floats():

    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()).eval()
    images = [torch.randn(1, 3, 24, 24) for _ in range(8)]
    theirs = stem(images[0])
    found = quantize_rest(convert_packed(stem, images[0]), images)
    compiled = shared_core().compile_model(found, "CPU", FLOAT32)
    ours = torch.from_numpy(compiled(images[0].numpy())[0].copy())
    error = (ours - theirs).abs().mean() / theirs.abs().mean()
    assert 0 < error < 0.02


@torch.no_grad()
def test_pooled_values_get_8_bits_and_keep_their_signs():
    import openvino as ov

    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2)).eval()
    images = [torch.randn(1, 3, 32, 32) for _ in range(8)]
    model = convert_packed(stem, images[0])
    found = quantize_rest(model, images)
    # Of the values in front of the pooling, 256 levels.
    (pool,) = [n for n in found.get_ops() if n.get_type_name() == "MaxPool"]
    given = pool.input_value(0).get_node()
    assert given.get_type_name() == "FakeQuantize"
    assert given.get_attributes()["levels"] == 256
    probe = ov.Model(
        [ov.opset13.result(given.input_value(0)), ov.opset13.result(given.output(0))],
        found.get_parameters(),
    )
    compiled = shared_core().compile_model(probe.clone(), "CPU", FLOAT32)
    outputs = compiled(images[0].numpy())
    before, after = outputs[0], outputs[1]
    assert len(np.unique(after)) <= 256
    assert ((before >= 0) == (after >= 0)).all()
    step = np.median(np.diff(np.unique(after)))
    inside = np.abs(before) < np.abs(after).max()
    assert np.abs(before - after)[inside].max() <= 0.51 * step


@pytest.mark.full
@torch.no_grad()
@pytest.mark.usefixtures("binary_layers")
@pytest.mark.parametrize(("channels", "levels"), [(4, []), (8, [256])])
def test_binary_layers_of_few_channels_behind_a_pooling(channels, levels):
    """The engine adds channels to four, with a number that no 8 bits can hold."""
    torch.manual_seed(0)
    encoder = BinaryResNet(base_channels=channels, out_indices=(0,)).eval()
    images = [torch.randn(1, 3, 32, 32) for _ in range(4)]
    core, _ = pack_network(Last(encoder), images[0])
    theirs = core(images[0])
    found = quantize_rest(convert_packed(core, images[0]), images)
    (pool,) = [n for n in found.get_ops() if n.get_type_name() == "MaxPool"]
    given = pool.input_value(0).get_node()
    assert ([given.get_attributes()["levels"]] if levels else []) == levels
    ours = shared_core().compile_model(found, "CPU", FLOAT32)(images[0].numpy())[0]
    # Stems of 8 bits move some values over the thresholds of the layers behind.
    assert np.corrcoef(ours.ravel(), theirs.numpy().ravel())[0, 1] > 0.9
