"""Every method in every encoder, exported: each layer exact, the whole alike."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("openvino")

from network_cases import ADDITIONS, ENCODERS, REAL_ACTIVATIONS, make

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.openvino_export import convert_packed
from cmim.deploy.packed_conv import PackedConv, pack_network
from cmim.deploy.shared_core import shared_core
from cmim.deploy.verify import verify_layers
from cmim.encoders import BinaryResNet
from cmim.methods import available_methods

METHODS = [*available_methods(), *ADDITIONS]
# By default two methods in the shortest encoder; for make test every method in it, and
# the two in every encoder.
FEW = ("bireal", "reactnet")


def tier(name: str, method: str) -> tuple:
    if name == "vgg_small" and method in FEW:
        return ()
    chosen = name == "vgg_small" or method in FEW
    return (pytest.mark.full if chosen else pytest.mark.slow,)


PAIRS = [
    pytest.param(name, method, marks=tier(name, method))
    for name in ENCODERS
    for method in METHODS
]


@pytest.mark.parametrize(("name", "method"), PAIRS)
@torch.no_grad()
def test_exported_layers_are_exact(name, method):
    encoder = make(name, method)
    image = torch.randn(2, 3, 40, 48, generator=torch.Generator().manual_seed(1))
    packed, names = pack_network(encoder, image)
    assert len(names) == (0 if method in REAL_ACTIVATIONS else ENCODERS[name][2])
    assert sum(isinstance(m, PackedConv) for m in packed.modules()) == len(names)
    rows = verify_layers(packed, image)
    assert sorted(row["layer"] for row in rows) == sorted(names)
    assert sum(row["values"] for row in rows) > 0 or not names
    assert not [row for row in rows if row["wrong"]]
    assert all(row["scaled_difference"] < 1e-6 for row in rows)


@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=() if m in FEW else pytest.mark.slow) for m in METHODS],
)
@torch.no_grad()
def test_the_whole_network_is_alike(method):
    """Codes next to a threshold may differ between engines: few, and seen as such."""
    encoder = make("resnet18", method)
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    packed, _ = pack_network(encoder, image)
    exact, trained = packed(image), encoder(image)
    compiled = shared_core().compile_model(
        convert_packed(packed, image), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    outputs = compiled(image.numpy())
    for k, (a, b) in enumerate(zip(exact, trained, strict=True)):
        ours = torch.from_numpy(outputs[k])
        for expected in (a, b):
            off = (ours - expected).abs() > 1e-3 * expected.abs().max()
            assert off.float().mean() < 0.02


def test_what_is_no_sum_of_signs_is_refused_by_name():
    encoder = make("resnet18", "bireal+bidense_binarizer")
    with pytest.raises(ExportError, match=r"layer1\.0\.conv1: the levels of its act"):
        pack_network(encoder, torch.zeros(1, 3, 64, 64))


def test_too_many_products_are_refused():
    encoder = BinaryResNet(
        depth=18, base_channels=4, method=dict(name="dorefa", activation_bits=5)
    )
    with pytest.raises(ExportError, match="31 binary convolutions, more than 16"):
        pack_network(encoder.eval(), torch.zeros(1, 3, 64, 64))
