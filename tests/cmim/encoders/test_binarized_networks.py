"""Networks that nobody here wrote: equal, a training step, costs, packed layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from matrix import FULL

from cmim.analysis.cost import layer_costs, totals
from cmim.bench.networks import NETWORKS as LISTED
from cmim.bench.networks import OPTIONS
from cmim.convert import convert, unplaced
from cmim.deploy.binary_layer import ExportError
from cmim.deploy.packed_conv import pack_network
from cmim.encoders import BinarizedEncoder
from cmim.encoders.sources import build_body
from cmim.layers import BinaryWeightLayer

SLOW = pytest.mark.slow
# Name, marks, height and width. Ones that name theirs take no others.
NETWORKS = [
    ("torchvision/mobilenet_v3_small", (), (64, 96)),
    ("torchvision/mobilenet_v2", FULL, (64, 96)),
    ("torchvision/resnet50", SLOW, (64, 96)),
    ("torchvision/regnet_y_400mf", FULL, (64, 96)),
    ("torchvision/densenet121", SLOW, (64, 96)),
    ("torchvision/vgg16_bn", SLOW, (64, 96)),
    ("torchvision/convnext_tiny", SLOW, (64, 96)),
    ("torchvision/swin_t", SLOW, (64, 96)),
    ("torchvision/vit_b_32", SLOW, (224, 224)),
    ("timm/mobilenetv3_small_050", FULL, (64, 96)),
    ("timm/efficientnet_lite0", FULL, (64, 96)),
    ("timm/regnetx_002", FULL, (64, 96)),
    ("timm/hrnet_w18_small", SLOW, (64, 96)),
    ("timm/convnext_tiny", SLOW, (64, 96)),
    ("timm/swin_tiny_patch4_window7_224", SLOW, (224, 224)),
    ("timm/vit_small_patch16_224", SLOW, (224, 224)),
    ("mmseg/MobileNetV2", FULL, (64, 96)),
    ("mmseg/MixVisionTransformer", FULL, (64, 96)),
    ("mmseg/STDCNet", FULL, (64, 96)),
    ("mmseg/BiSeNetV2", SLOW, (64, 96)),
    ("mmseg/HRNet", SLOW, (64, 96)),
]
every_network = pytest.mark.parametrize(
    ("name", "size"),
    [pytest.param(name, size, marks=marks) for name, marks, size in NETWORKS],
)


def make(name: str, method: str) -> BinarizedEncoder:
    if name.startswith("timm/"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    encoder = BinarizedEncoder(name, method, network_options=OPTIONS.get(name))
    encoder.init_weights()
    return encoder


def images(count: int, size: tuple[int, int], seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, *size, generator=generator)


def test_the_listed_networks_are_tested():
    assert {name for name, *_ in NETWORKS} == set(LISTED)


def outputs(network: torch.nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """All that a network gives in evaluation and in training, and a gradient."""
    found = []
    for mode in (False, True):
        # Dropout and stochastic depth draw the same.
        torch.manual_seed(0)
        network.train(mode)
        out = network(x)
        found += [out] if isinstance(out, torch.Tensor) else list(out)
    found[-1].square().mean().backward()
    first = next(p for p in network.parameters() if p.grad is not None)
    return [*found, first.grad]


@every_network
def test_full_precision_is_the_network_itself_bit_for_bit(name, size):
    if name.startswith("timm/"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    network = build_body(name, 3, dict(OPTIONS.get(name, {}))).network
    same, rows = convert(network, "fp", example=images(1, size))
    assert not any(row.became for row in rows)
    x = images(2, size, seed=2)
    for ours, theirs in zip(outputs(same, x), outputs(network, x), strict=True):
        assert torch.equal(ours, theirs)
    state = network.state_dict()
    assert list(same.state_dict()) == list(state)
    for key, value in same.state_dict().items():
        assert torch.equal(value, state[key]), key


@every_network
def test_a_step_costs_and_packed_layers(name, size):
    """The twin loads into it; all weights get gradients; export is alike."""
    twin, encoder = make(name, "fp").eval(), make(name, "reactnet")
    encoder.network.load_state_dict(twin.network.state_dict())
    binary = [row for row in encoder.rows if row.became]
    assert binary
    step(encoder.train(), images(2, size))
    assert {f"network.{row.name}" for row in binary} >= set(unplaced(encoder))
    x = images(1, size, seed=2)
    with torch.no_grad():
        shapes = [f.shape for f in twin(x)]
        assert [f.shape for f in encoder.eval()(x)] == shapes
    for stage, shape in zip(encoder.stages, shapes, strict=True):
        assert shape[1] == stage.channels
        assert shape[2] == -(-size[0] // stage.stride)
    check_costs(encoder, twin, x)
    check_packed(encoder, x)


def step(encoder: BinarizedEncoder, x: torch.Tensor) -> None:
    features = encoder(x)
    assert all(f.isfinite().all() for f in features)
    sum(f.square().mean() for f in features).backward()
    for name, module in encoder.named_modules():
        if isinstance(module, BinaryWeightLayer) and module.weight.grad is not None:
            assert module.weight.grad.isfinite().all(), name
    trained = [m for m in encoder.modules() if isinstance(m, BinaryWeightLayer)]
    with_gradient = [m for m in trained if m.weight.grad is not None]
    assert len(with_gradient) >= 0.9 * len(trained)
    # From random weights gradients may be of any size.
    torch.nn.utils.clip_grad_norm_(encoder.parameters(), 0.1)
    torch.optim.SGD(encoder.parameters(), 1e-3).step()


def check_costs(encoder, twin, x: torch.Tensor) -> None:
    """Each product of the twin is one of bits or of floats here."""
    ours, theirs = (totals(layer_costs(model, x)) for model in (encoder, twin))
    assert ours["bops"] > 0
    assert ours["bops"] + ours["flops"] == theirs["flops"]
    assert ours["memory_mbit"] < theirs["memory_mbit"]


@torch.no_grad()
def check_packed(encoder: BinarizedEncoder, x: torch.Tensor) -> None:
    """Packed layers give what the network gives, or one is refused by its name."""
    try:
        core, packed = pack_network(encoder, x)
    except ExportError as error:
        name = str(error).split(":")[0]
        assert isinstance(encoder.get_submodule(name), BinaryWeightLayer)
        return
    assert packed
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for name in packed:
        # What works in place may write over both.
        core.get_submodule(name).register_forward_hook(
            lambda module, args, out, name=name: seen.update(
                {name: (args[0].clone(), out.clone())}
            )
        )
    core(x)
    # Not the whole: a code beside a threshold differs, and all that reads it.
    for name, (given, out) in seen.items():
        layer: Any = encoder.get_submodule(name.removesuffix(".conv"))
        expected = layer.conv(layer.binarize(given))
        assert (out - expected).abs().max() <= 1e-5 * expected.abs().max(), name


@pytest.mark.full
@pytest.mark.parametrize(
    "name",
    ["torchvision/mobilenet_v3_small", pytest.param("mmseg/STDCNet", marks=SLOW)],
)
@torch.no_grad()
def test_packed_layers_are_exact_in_openvino(name):
    pytest.importorskip("openvino")
    from cmim.deploy.verify import verify_layers

    encoder = make(name, "reactnet")
    encoder.train()(images(2, (64, 96)))
    x = images(1, (64, 96), seed=2)
    core, packed = pack_network(encoder.eval(), x)
    rows = verify_layers(core, x)
    assert len(rows) >= len(packed) > 10
    assert min(row["values"] for row in rows) > 0
    assert not [row for row in rows if row["wrong"]]
