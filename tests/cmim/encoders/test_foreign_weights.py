"""Files of other libraries and of this project for the latent weights."""

from __future__ import annotations

import pytest
import torch
from test_binarized import Pyramid, images
from torch import nn

from cmim.checkpoint import CheckpointError
from cmim.encoders import BinarizedEncoder


def trained(seed: int = 5) -> nn.Module:
    """A network whose every value differs from what it starts with."""
    torch.manual_seed(seed)
    network = Pyramid()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight, module.bias, module.running_mean):
                value.data.normal_()
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def encoder(path, method: str = "fp", **options) -> BinarizedEncoder:
    torch.manual_seed(0)
    made = BinarizedEncoder(Pyramid, method, pretrained=str(path), **options)
    made.init_weights()
    return made.eval()


def saved(state: dict, folder, prefix: str = ""):
    path = folder / "weights.pth"
    torch.save({prefix + name: value for name, value in state.items()}, path)
    return path


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "backbone.", "module.backbone.", "module.backbone.network."],
)
@torch.no_grad()
def test_names_with_what_stands_in_front_of_them(prefix, tmp_path):
    network, x = trained(), images(1, 3, 32, 32)
    twin = encoder(saved(network.state_dict(), tmp_path, prefix))
    for stage, feature in zip(network.stages, twin(x), strict=True):
        x = stage(x)
        assert torch.equal(feature, x)


@pytest.mark.parametrize("method", ["reactnet", "bireal", "rbnn"])
def test_latent_weights_and_biases_are_the_files(method, tmp_path):
    network = trained()
    binary = encoder(saved(network.state_dict(), tmp_path), method)
    fresh = encoder(saved(network.state_dict(), tmp_path), method).state_dict()
    for row in binary.rows:
        layer, theirs = (m.get_submodule(row.name) for m in (binary.network, network))
        weight = layer.conv.weight if row.became else layer.weight
        assert torch.equal(weight, theirs.weight)
        assert torch.equal(layer.bias, theirs.bias)
    assert all(v.equal(fresh[k]) for k, v in binary.state_dict().items())


def test_a_part_of_the_networks_own_that_is_called_like_a_prefix(tmp_path):
    """``backbone`` is a part of this network, and nothing in front of it."""

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.neck = Pyramid(), nn.Conv2d(32, 8, 3, padding=1)

        def forward(self, x):
            for stage in self.backbone.stages:
                x = stage(x)
            return self.neck(x)

    torch.manual_seed(5)
    whole = Whole()
    for prefix in ("", "module.", "backbone.network."):
        path = saved(whole.state_dict(), tmp_path, prefix)
        made = BinarizedEncoder(Whole, "fp", pretrained=str(path), stages=["neck"])
        made.init_weights()
        assert torch.equal(made.network.neck.weight, whole.neck.weight)
        first = made.network.backbone.stages[0][0]
        assert torch.equal(first.weight, whole.backbone.stages[0][0].weight)


@torch.no_grad()
def test_a_binary_run_continues_and_goes_back_into_the_twin(tmp_path):
    torch.manual_seed(3)
    binary = BinarizedEncoder(Pyramid, "reactnet")
    binary.train()(images(2, 3, 32, 32))
    binary.eval()
    path = tmp_path / "last.pth"
    state = {f"backbone.{k}": v for k, v in binary.state_dict().items()}
    torch.save({"state_dict": state, "meta": {"epoch": 3}}, path)
    again = encoder(path, "reactnet")
    x = images(1, 3, 32, 32)
    assert all(map(torch.equal, again(x), binary(x)))
    twin = encoder(path)
    for row in binary.rows:
        layer = binary.network.get_submodule(row.name)
        weight = layer.conv.weight if row.became else layer.weight
        assert torch.equal(twin.network.get_submodule(row.name).weight, weight)


def without(name: str, state: dict) -> dict:
    return {k: v for k, v in state.items() if k != name}


@pytest.mark.parametrize("method", ["fp", "reactnet"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda s: without("stages.1.0.weight", s),
            "1 missing (first 'stages.1.0.weight'",
        ),
        (
            lambda s: without("stages.2.1.running_var", s),
            "1 missing (first 'stages.2.1.running_var')",
        ),
        (
            lambda s: {**s, "stages.0.3.weight": torch.zeros(8, 8, 1, 1)},
            "1 of another shape (first 'stages.0.3.",
        ),
        (
            lambda s: {**s, "stages.2.4.weight": torch.zeros(8)},
            "1 superfluous (first 'stages.2.4.weight')",
        ),
    ],
)
def test_files_that_do_not_fit_leave_the_network_as_it_was(
    change, said, method, tmp_path
):
    path = saved(change(trained().state_dict()), tmp_path)
    torch.manual_seed(0)
    made = BinarizedEncoder(Pyramid, method, pretrained=str(path))
    before = {name: value.clone() for name, value in made.state_dict().items()}
    with pytest.raises(CheckpointError, match="use weights of the same net") as error:
        made.init_weights()
    assert said in str(error.value)
    for name, value in made.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_counters_may_be_missing_and_heads_are_left_out(tmp_path):
    state = {k: v for k, v in trained().state_dict().items() if "num_batches" not in k}
    encoder(saved({**state, "decode_head.weight": torch.zeros(3)}, tmp_path))


def test_a_file_of_something_else(tmp_path):
    path = saved({"layer.weight": torch.zeros(3)}, tmp_path)
    with pytest.raises(CheckpointError, match="missing"):
        encoder(path)


@pytest.mark.full
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050"])
@torch.no_grad()
def test_timms_feature_extractors_have_fewer_dots(name, tmp_path):
    timm = pytest.importorskip("timm")
    torch.manual_seed(5)
    theirs = timm.create_model(name, features_only=True).eval()
    path = tmp_path / "weights.pth"
    torch.save(theirs.state_dict(), path)
    made = BinarizedEncoder(f"timm/{name}", "fp", pretrained=str(path))
    made.init_weights()
    x = images(1, 3, 64, 64)
    ours, expected = made.eval()(x), theirs(x)
    assert len(ours) == len(expected)
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b)
