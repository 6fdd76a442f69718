"""SetProgress and ClipLatentWeights on a stand-in for the runner."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cmim.encoders import BinaryResNet
from cmim.hooks import ClipLatentWeights, SeedSteps, SetProgress
from cmim.layers import BinaryConv2d
from cmim.methods import Scheduled


def make_runner(method: str, step: int = 0) -> SimpleNamespace:
    torch.manual_seed(0)
    encoder = BinaryResNet(method=method, base_channels=4)
    return SimpleNamespace(model=encoder, iter=step, max_iters=8, seed=0)


@pytest.mark.parametrize(("step", "expected"), [(0, 0.0), (4, 0.5), (7, 0.875)])
def test_progress_is_the_share_of_steps_done(step, expected):
    runner, hook = make_runner("irnet", step), SetProgress()
    hook.before_train(runner)
    hook.before_train_iter(runner, 0)
    modules = [m for m in runner.model.modules() if isinstance(m, Scheduled)]
    assert [m.progress.item() for m in modules] == [expected] * 32


def test_progress_of_a_resumed_run_is_that_of_the_uninterrupted_one():
    hook, runner = SetProgress(), make_runner("recu")
    hook.before_train(runner)
    for runner.iter in range(6):
        hook.before_train_iter(runner, runner.iter)
    resumed, again = make_runner("recu", step=5), SetProgress()
    again.before_train(resumed)
    again.before_train_iter(resumed, 0)
    states = runner.model.state_dict(), resumed.model.state_dict()
    for key in states[0]:
        if key.endswith("progress"):
            assert torch.equal(states[0][key], states[1][key])


def test_nothing_is_scheduled_in_bireal():
    hook, runner = SetProgress(), make_runner("bireal")
    hook.before_train(runner)
    del runner.max_iters
    hook.before_train_iter(runner, 0)


@pytest.mark.parametrize("method", ["bnn", "binary_connect"])
def test_latent_weights_are_clipped_and_the_rest_is_not(method):
    runner, hook = make_runner(method), ClipLatentWeights()
    for parameter in runner.model.parameters():
        parameter.data.mul_(30).add_(0.5)
    before = {k: v.clone() for k, v in runner.model.state_dict().items()}
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    for name, module in runner.model.named_modules():
        if isinstance(module, BinaryConv2d):
            expected = before.pop(f"{name}.weight").clamp(-1, 1)
            assert torch.equal(module.weight, expected)
    state = runner.model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in before.items())


def test_other_methods_keep_their_latent_weights():
    runner, hook = make_runner("bireal"), ClipLatentWeights()
    before = {k: 9 * v for k, v in runner.model.state_dict().items()}
    runner.model.load_state_dict(before)
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    state = runner.model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in before.items())


def test_clipping_comes_before_the_checkpoint():
    order = ["VERY_HIGH", "HIGH", "ABOVE_NORMAL", "NORMAL", "BELOW_NORMAL", "LOW"]
    assert ClipLatentWeights.priority in order
    assert SetProgress.priority == SeedSteps.priority == "VERY_HIGH"


def draws(seed: int, step: int, own: int | None = None) -> tuple[float, ...]:
    """What the three generators say in a step of a run."""
    SeedSteps(own).before_train_iter(SimpleNamespace(seed=seed, iter=step), 0)
    return torch.rand(()).item(), np.random.rand(), random.random()  # noqa: NPY002


def test_what_a_step_draws_is_a_function_of_seed_and_step():
    found = draws(0, 3)
    assert draws(0, 3) == found
    assert draws(5, 3, own=0) == found
    for other in (draws(1, 3), draws(0, 4), draws(0, 3, own=1)):
        assert all(a != b for a, b in zip(found, other, strict=True))
