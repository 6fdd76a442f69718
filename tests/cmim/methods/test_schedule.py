"""Training progress of scheduled binarizers: set, saved, and without use elsewhere."""

from __future__ import annotations

import pytest
import torch

from cmim.encoders import BinaryResNet
from cmim.methods import Scheduled, available_methods


def scheduled_modules(method: str) -> tuple[BinaryResNet, list[Scheduled]]:
    encoder = BinaryResNet(method=method, base_channels=4)
    return encoder, [m for m in encoder.modules() if isinstance(m, Scheduled)]


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_progress_is_a_buffer_and_no_parameter(progress):
    module = Scheduled()
    assert module.progress == 0
    module.set_progress(progress)
    assert module.progress.item() == progress
    assert list(module.state_dict()) == ["progress"]
    assert not list(module.parameters())


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan")])
def test_progress_outside_the_training_is_refused(progress):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Scheduled().set_progress(progress)


@pytest.mark.parametrize("method", available_methods())
def test_schedule_survives_the_checkpoint(method):
    trained, modules = scheduled_modules(method)
    for module in modules:
        module.set_progress(0.25)
    loaded, fresh = scheduled_modules(method)
    loaded.load_state_dict(trained.state_dict())
    modules = {"fda": 32, "irnet": 32, "rbnn": 32, "recu": 16, "siman": 16, "slb": 16}
    modules |= {"adabin": 16, "biper": 16, "reste": 32}
    assert len(fresh) == modules.get(method, 0)
    assert all(module.progress == 0.25 for module in fresh)


@pytest.mark.parametrize("method", ["fda", "irnet", "rbnn", "recu", "reste", "adabin"])
def test_progress_changes_gradients_and_never_the_output(method):
    """Evaluation and export do not depend on when training stopped."""
    torch.manual_seed(0)
    encoder, modules = scheduled_modules(method)
    x = torch.randn(2, 3, 32, 32)
    outputs, gradients = [], []
    for progress in (0.0, 1.0):
        for module in modules:
            module.set_progress(progress)
        encoder.zero_grad()
        output = encoder.eval()(x)[-1]
        output.square().sum().backward()
        outputs.append(output.detach())
        gradients.append(encoder.get_parameter("layer1.0.conv1.weight").grad.clone())
    assert torch.equal(*outputs)
    assert not torch.allclose(*gradients)
