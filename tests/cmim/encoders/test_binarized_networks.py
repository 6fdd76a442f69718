"""Networks that nobody here wrote: equal, a training step, costs, packed layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from matrix import FULL

from cmim.analysis.cost import layer_costs, totals
from cmim.convert import unplaced
from cmim.deploy.binary_layer import ExportError
from cmim.deploy.packed_conv import pack_network
from cmim.encoders import BinarizedEncoder
from cmim.layers import BinaryWeightLayer

SLOW = pytest.mark.slow
NORM = dict(type="BN")


def hrnet_stage(modules: int, blocks: tuple, widths: tuple) -> dict[str, Any]:
    kind = "BOTTLENECK" if len(widths) == 1 else "BASIC"
    return dict(
        num_modules=modules,
        num_branches=len(widths),
        block=kind,
        num_blocks=blocks,
        num_channels=widths,
    )


OPTIONS: dict[str, dict[str, Any]] = {
    # The shape of a MiT-B0 with fewer blocks for the default tests.
    "mmseg/MixVisionTransformer": dict(
        embed_dims=32, num_stages=4, num_layers=[2, 2, 2, 2], num_heads=[1, 2, 5, 8]
    ),
    "mmseg/STDCNet": dict(
        stdc_type="STDCNet1",
        channels=(32, 64, 256, 512, 1024),
        bottleneck_type="cat",
        num_convs=4,
        norm_cfg=NORM,
        act_cfg=dict(type="ReLU"),
    ),
    "mmseg/BiSeNetV2": dict(norm_cfg=NORM),
    "mmseg/HRNet": dict(
        norm_cfg=NORM,
        extra=dict(
            stage1=hrnet_stage(1, (2,), (64,)),
            stage2=hrnet_stage(1, (2, 2), (18, 36)),
            stage3=hrnet_stage(1, (2, 2, 2), (18, 36, 72)),
            stage4=hrnet_stage(1, (2, 2, 2, 2), (18, 36, 72, 144)),
        ),
    ),
}
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
