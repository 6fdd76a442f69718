"""What looks for binary layers treats one that is no convolution rightly."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.analysis.cost import layer_costs
from cmim.deploy.binary_layer import ExportError
from cmim.deploy.packed_conv import pack_network
from cmim.hooks import ClipLatentWeights, RecordFlips
from cmim.layers import BinaryConv2d, BinaryUnit, BinaryWeightLayer, ConvUnit
from cmim.methods import get_method

METHOD = get_method("bnn")


class BinaryLinear(BinaryWeightLayer, nn.Linear):
    """A linear layer with binary weights."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.weight_binarizer = METHOD.weight((out_features, in_features, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.binary_weight())


def network() -> nn.Sequential:
    return nn.Sequential(METHOD.activation(6), BinaryLinear(6, 4))


def test_its_weights_are_signs_and_cached_in_evaluation():
    layer = BinaryLinear(6, 4)
    assert layer.binary_weight().shape == (4, 6)
    assert set(layer.binary_weight().unique().tolist()) <= {-1.0, 1.0}
    layer.binary_weight().sum().backward()
    assert layer.weight.grad is not None
    layer.eval()
    with torch.no_grad():
        assert layer.binary_weight() is layer.binary_weight()
    assert "_cached" not in layer.state_dict()


def test_cost_counts_it_like_a_convolution():
    [row] = [r for r in layer_costs(network(), torch.randn(1, 6)) if r.kind != "Codes"]
    assert (row.kind, row.weight_bits, row.activation_bits) == ("BinaryLinear", 1, 1)
    assert (row.bops, row.flops, row.memory_bits) == (24, 0, 24)
    # Tokens: as many products a place.
    [row] = layer_costs(nn.Sequential(BinaryLinear(6, 4)), torch.randn(1, 5, 6))
    assert (row.bops, row.flops, row.shape) == (0, 120, (5, 4))


def test_latent_weights_are_clipped_and_flips_recorded(tmp_path):
    model = network()
    model[1].weight.data.fill_(0.5)
    runner = SimpleNamespace(model=model, iter=0, rank=0, work_dir=tmp_path)
    clip, flips = ClipLatentWeights(), RecordFlips(interval=1)
    clip.before_train(runner)
    flips.before_train(runner)
    model[1].weight.data[:, 0] = -3.0
    clip.after_train_iter(runner, 0)
    assert model[1].weight.min() == -1
    flips.after_train_iter(runner, 0)
    content = (tmp_path / "flips.json").read_text()
    assert '"layers": ["1"]' in content
    assert f"[{round(1 / 6, 6)}]" in content


def test_export_refuses_it_by_its_name():
    with pytest.raises(ExportError, match=r"1: a BinaryLinear has no exported form"):
        pack_network(network(), torch.randn(1, 6))


def test_a_convolution_takes_a_method_or_its_name():
    torch.manual_seed(0)
    one = BinaryConv2d(4, 2, 3, METHOD.weight((2, 4, 3, 3)), padding=1)
    torch.manual_seed(0)
    other = BinaryConv2d(4, 2, 3, method="bnn", padding=1)
    x = torch.randn(1, 4, 5, 5).sign()
    assert torch.equal(one(x), other(x))
    assert torch.equal(one(x), one.plain_layer()(x))
    for options in ({}, dict(method="bnn", weight_binarizer=one.weight_binarizer)):
        with pytest.raises(ValueError, match="either weight_binarizer or method"):
            BinaryConv2d(4, 2, 3, **options)
    with pytest.raises(ValueError, match="'fp' keeps its weights"):
        BinaryConv2d(4, 2, 3, method="fp")


@pytest.mark.parametrize("name", ["bireal", "reactnet", "xnor_net_pp", "fp"])
def test_a_unit_by_hand_is_the_unit_and_its_nonlinearity(name):
    torch.manual_seed(0)
    method = get_method(name)
    parts = ConvUnit(method, 4, 6, 3, stride=2), method.nonlinearity(6)
    torch.manual_seed(0)
    unit = BinaryUnit(4, 6, 3, name, stride=2)
    x = torch.randn(2, 4, 7, 7)
    assert torch.equal(unit(x), parts[1](parts[0](x)))
