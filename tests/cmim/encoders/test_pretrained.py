"""init_from: torchvision's weights and this project's, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cmim.checkpoint import CheckpointError
from cmim.encoders import BinaryResNet
from cmim.encoders.pretrained import load_latent_weights
from cmim.methods import available_methods


def make_encoder(method: str = "bireal", seed: int = 0, **options) -> BinaryResNet:
    torch.manual_seed(seed)
    return BinaryResNet(method=method, **{"base_channels": 4, **options})


def randomize(module: nn.Module) -> None:
    """Every weight and statistic away from its start, so that a skipped one shows."""
    generator = torch.Generator().manual_seed(5)
    for module_ in module.modules():
        if isinstance(module_, nn.BatchNorm2d):
            for value in (module_.weight, module_.bias, module_.running_mean):
                value.data.normal_(std=0.5, generator=generator)
            module_.running_var.uniform_(0.5, 1.5, generator=generator)


@pytest.fixture(scope="module")
def resnet18() -> nn.Module:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None)
    randomize(network)
    return network.eval()


@pytest.fixture(scope="module")
def resnet18_file(resnet18, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("torchvision") / "resnet18.pth"
    torch.save(resnet18.state_dict(), path)
    return path


@pytest.fixture
def small_file(tmp_path) -> Path:
    """A trained full-precision encoder of four base channels, as a bare state dict."""
    encoder = make_encoder("fp", seed=7)
    randomize(encoder)
    torch.save(encoder.state_dict(), tmp_path / "small.pth")
    return tmp_path / "small.pth"


def torchvision_stages(network: nn.Module, x: Tensor) -> list[Tensor]:
    x = network.maxpool(network.relu(network.bn1(network.conv1(x))))
    stages = []
    for layer in (network.layer1, network.layer2, network.layer3, network.layer4):
        x = layer(x)
        stages.append(x)
    return stages


@torch.no_grad()
def test_full_precision_per_block_is_torchvisions_resnet(resnet18, resnet18_file):
    encoder = make_encoder(
        "fp", base_channels=64, shortcuts="per_block", init_from=str(resnet18_file)
    )
    encoder.init_weights()
    x = torch.randn(2, 3, 65, 97)
    stages = zip(encoder.eval()(x), torchvision_stages(resnet18, x), strict=True)
    for ours, theirs in stages:
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        assert theirs.std() > 0.1


def test_torchvision_weights_become_latent_weights(resnet18, resnet18_file):
    encoder = make_encoder("bireal", base_channels=64)
    load_latent_weights(encoder, resnet18_file)
    theirs = resnet18.state_dict()
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, theirs[key]), key


@pytest.mark.parametrize("method", available_methods())
def test_what_the_method_adds_keeps_its_start(method, small_file):
    start = make_encoder(method).state_dict()
    encoder = make_encoder(method, init_from=str(small_file))
    encoder.init_weights()
    saved = torch.load(small_file)
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, saved.get(key, start[key])), key
    assert set(saved) <= set(start)


def test_weights_are_read_by_init_weights_and_not_before(small_file):
    encoder = make_encoder("fp", init_from=str(small_file))
    saved = torch.load(small_file)["conv1.weight"]
    assert not torch.equal(encoder.conv1.weight, saved)
    encoder.init_weights()
    assert torch.equal(encoder.conv1.weight, saved)


def test_own_checkpoint_of_a_whole_task_model(small_file, tmp_path):
    saved = torch.load(small_file)
    state = {f"backbone.{key}": value for key, value in saved.items()}
    state["decode_head.conv_seg.weight"] = torch.zeros(40, 32, 1, 1)
    state["contrast.layer4.project_binary.weight"] = torch.zeros(64, 32)
    state["conv1.weight"] = torch.zeros(1)  # not the encoder's: no prefix
    torch.save({"state_dict": state, "meta": {"epoch": 3}}, tmp_path / "last.pth")
    encoder = make_encoder("bireal")
    load_latent_weights(encoder, tmp_path / "last.pth")
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, saved[key]), key


@pytest.mark.parametrize(
    "missing",
    [
        "layer3.1.conv2.weight",
        "bn1.running_mean",
        "layer2.0.bn1.running_var",
        "layer2.0.bn2.bias",
    ],
)
def test_a_missing_layer_is_refused(small_file, missing):
    state = torch.load(small_file)
    del state[missing]
    torch.save(state, small_file)
    with pytest.raises(CheckpointError, match=rf"1 missing \(first '{missing}'\)"):
        load_latent_weights(make_encoder(), small_file)


def save_text(path: Path) -> None:
    path.write_text("<html>404 Not Found</html>")


def save_list(path: Path) -> None:
    torch.save([torch.zeros(3)], path)


def save_training_state(path: Path) -> None:
    torch.save({"model": {"conv1.weight": torch.zeros(4, 3, 7, 7)}, "epoch": 1}, path)


def save_empty(path: Path) -> None:
    torch.save({}, path)


@pytest.mark.parametrize(
    ("save", "said"),
    [
        (save_text, "is not a plain checkpoint of tensors"),
        (save_list, "holds a list"),
        (save_training_state, "has no state dict"),
        (save_empty, r"missing \(first 'conv1\.weight'\).* accepted are torchvision"),
        (lambda path: None, "does not exist"),
    ],
)
def test_what_is_no_checkpoint_is_one_sentence(save, said, tmp_path):
    path = tmp_path / "weights.pth"
    save(path)
    encoder = make_encoder(init_from=str(path))
    with pytest.raises(CheckpointError, match=said) as error:
        encoder.init_weights()
    assert f"'{path}'" in str(error.value)
    assert "\n" not in str(error.value)
    assert ". " not in str(error.value)


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({"base_channels": 8}, "of another shape (first 'conv1.weight')"),
        ({"depth": 34}, "missing (first 'layer1.2.conv1.weight')"),
    ],
)
def test_another_width_or_depth_is_one_sentence(options, first, small_file):
    encoder = make_encoder(init_from=str(small_file), **options)
    with pytest.raises(CheckpointError, match="does not fit this encoder") as error:
        encoder.init_weights()
    message = str(error.value)
    assert f"init_from '{small_file}'" in message
    assert first in message
    assert message.endswith("use weights of the same depth and base_channels")


@pytest.mark.parametrize("method", available_methods())
def test_a_deeper_network_is_refused_and_another_methods_is_not(method, tmp_path):
    torch.save(make_encoder(method, depth=34).state_dict(), tmp_path / "deep.pth")
    with pytest.raises(CheckpointError, match=r"superfluous \(first 'layer1\.2\.conv1"):
        load_latent_weights(make_encoder("fp"), tmp_path / "deep.pth")
    torch.save(make_encoder(method).state_dict(), tmp_path / "same.pth")
    load_latent_weights(make_encoder("fp"), tmp_path / "same.pth")


def test_a_refused_file_leaves_the_encoder_alone(small_file):
    encoder = make_encoder(depth=34)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    with pytest.raises(CheckpointError):
        load_latent_weights(encoder, small_file)
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, before[key]), key
