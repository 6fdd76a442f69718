"""Binary attention, exported: linear layers exact, scores of signs integers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

pytest.importorskip("openvino")

from limited import skip_where_layer_norm_crashes, skip_without_binary_layers
from network_cases import disturb

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.compared_activation import ComparedActivation
from cmim.deploy.openvino_export import convert_packed
from cmim.deploy.packed_conv import PackedLinear, pack_network
from cmim.deploy.raw_trace import build_program
from cmim.deploy.shared_core import shared_core
from cmim.deploy.verify import verify_layers
from cmim.encoders import BinaryMixTransformer
from cmim.functional.binary_attention import code_scores
from cmim.methods import available_methods, get_method


def make(method: str, attention: str) -> nn.Module:
    """One block a stage, to be short."""
    torch.manual_seed(0)
    encoder = BinaryMixTransformer(
        method=method, attention=attention, base_channels=8, depths=(1, 1, 1, 1)
    )
    encoder.init_weights()
    return disturb(encoder.eval())


def picture(count: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, 64, 96, generator=generator)


@pytest.mark.full
@pytest.mark.parametrize("attention", ["binaryvit", "bhvit"])
@torch.no_grad()
def test_layers_are_exact_in_the_engine(attention):
    skip_without_binary_layers()
    encoder, image = make("reactnet", attention), picture()
    packed, names = pack_network(encoder, image)
    # Six layers a block, and the reduction of three stages.
    assert len(names) == 4 * 6 + 3
    assert sum(isinstance(m, PackedLinear) for m in packed.modules()) == 16
    rows = verify_layers(packed, image)
    assert sorted(row["layer"].removesuffix(".conv") for row in rows) == sorted(names)
    assert not [row for row in rows if row["wrong"]]


@pytest.mark.slow
@torch.no_grad()
def test_the_first_stage_is_alike_in_the_engine():
    """Behind it a code that differs beside its threshold reaches every token.

    Its layers one by one are exact under ONEDNN_MAX_CPU_ISA=AVX2 as well.
    """
    skip_without_binary_layers()
    skip_where_layer_norm_crashes()
    encoder, image = make("bireal", "binaryvit"), picture()
    encoder.out_indices = (0,)
    packed, _ = pack_network(encoder, image)
    model = convert_packed(packed, image)
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    ours = torch.from_numpy(
        shared_core().compile_model(model, "CPU", hint)(image.numpy())[0]
    )
    (expected,) = encoder(image)
    assert ((ours - expected).abs() > 1e-3).float().mean() < 0.02


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(m, marks=() if m in ("bireal", "reactnet") else pytest.mark.full)
        for m in available_methods()
        if None not in (get_method(m).weight, get_method(m).activation)
    ],
)
@torch.no_grad()
def test_the_packed_network_attends_as_the_trained_one(method):
    encoder, image = make(method, "binaryvit"), picture(2)
    packed, _ = pack_network(encoder, image)
    compared = [m for m in packed.modules() if isinstance(m, ComparedActivation)]
    assert len(compared) == 4 * 3  # queries, keys and values
    expected, found = encoder(image)[0], packed(image)[0]
    assert ((found - expected).abs() > 1e-3).float().mean() < 0.02


@torch.no_grad()
def test_scores_of_the_packed_network_are_scaled_integers():
    packed, _ = pack_network(make("bireal", "scores"), picture())
    seen = []
    packed.layers[0][1][0].attn.products.register_forward_pre_hook(
        lambda module, args: seen.append(args)
    )
    packed(picture())
    queries, keys, _ = seen[0]
    sums = code_scores(queries, keys) * 8**0.5
    torch.testing.assert_close(sums, sums.round(), rtol=0, atol=1e-5)
    assert set(queries.unique().tolist()) == set(keys.unique().tolist()) == {-1, 1}


@pytest.mark.full
def test_the_raw_format_refuses_tokens_by_name():
    packed, _ = pack_network(make("bireal", "binaryvit"), picture())
    with pytest.raises(ExportError, match=r"the raw format has no transposition of"):
        build_program(packed, picture())
