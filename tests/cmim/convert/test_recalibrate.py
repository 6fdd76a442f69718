"""Batch-norm statistics of some batches, against NumPy, and nothing else changed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from convert_cases import Small, pictures
from torch import nn

from cmim.convert import convert, recalibrate_batch_norm

X = pictures(6, 3, 12, 14)


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.BatchNorm2d(4)
    )


@pytest.mark.parametrize("training", [True, False])
@torch.no_grad()
def test_statistics_are_means_over_the_batches(training):
    net = network().train(training)
    before = copy.deepcopy(net.state_dict())
    assert recalibrate_batch_norm(net, X.split((2, 4))) == ["1", "3"]
    rows = [net[0](part).numpy().transpose(1, 0, 2, 3).reshape(4, -1)
            for part in X.split((2, 4))]  # fmt: skip
    mean = np.mean([row.mean(1) for row in rows], 0)
    variance = np.mean([row.var(1, ddof=1) for row in rows], 0)
    np.testing.assert_allclose(net[1].running_mean.numpy(), mean, atol=1e-6)
    np.testing.assert_allclose(net[1].running_var.numpy(), variance, rtol=1e-5)
    assert net[1].num_batches_tracked == 2
    # Behind a batch-norm and no dropout: of mean 0, of a variance of nearly 1.
    np.testing.assert_allclose(net[3].running_mean.numpy(), 0, atol=1e-6)
    np.testing.assert_allclose(net[3].running_var.numpy(), 1, rtol=0.01)
    assert {m.training for m in net.modules()} == {training}
    assert [net[1].momentum, net[3].momentum] == [0.1, 0.1]
    changed = [k for k, v in net.state_dict().items() if not v.equal(before[k])]
    assert {key.split(".")[1] for key in changed} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_what_was_there_before_does_not_matter():
    net, other = network(), network()
    other[1].running_mean.fill_(7.0)
    for each in (net, other):
        recalibrate_batch_norm(each, [X])
    assert torch.equal(net[1].running_mean, other[1].running_mean)


def test_frozen_and_idle_batch_norms_stay():
    net = network().train()
    net[1].eval()
    assert recalibrate_batch_norm(net, [X]) == ["3"]
    assert torch.equal(net[1].running_var, torch.ones(4))
    assert not net[1].training
    net = network()
    net[3].running_mean.fill_(7.0)
    net[3].num_batches_tracked.fill_(5)
    assert recalibrate_batch_norm(net, [X], lambda x: net[1](net[0](x))) == ["1"]
    assert torch.equal(net[3].running_mean, torch.full((4,), 7.0))
    assert net[3].num_batches_tracked == 5


def test_no_batches_are_refused_and_lose_nothing():
    net = network()
    net[1].running_mean.fill_(7.0)
    with pytest.raises(ValueError, match="there were none: give at least one"):
        recalibrate_batch_norm(net, [])
    assert torch.equal(net[1].running_mean, torch.full((4,), 7.0))
    assert recalibrate_batch_norm(nn.Conv2d(3, 4, 1), []) == []


def test_convert_recalibrates_the_binary_network():
    torch.manual_seed(0)
    small = Small()
    small.norm, small.behind = nn.BatchNorm2d(8), nn.BatchNorm2d(16)
    plain, _ = convert(small, "bireal", pictures=X)
    binary, _ = convert(small, "bireal", pictures=X, recalibrate=True)
    seen = []
    plain.stem.register_forward_hook(lambda m, args, out: seen.append(out.detach()))
    plain.eval()(X)
    mean = seen[0].mean((0, 2, 3))
    torch.testing.assert_close(binary.norm.running_mean, mean, atol=1e-6, rtol=1e-5)
    assert torch.equal(plain.norm.running_mean, torch.zeros(8))
    assert torch.equal(binary.behind.running_var, torch.ones(16))
    same, _ = convert(small, "fp", pictures=X, recalibrate=True)
    assert torch.equal(same.norm.running_mean, torch.zeros(8))
    with pytest.raises(ValueError, match="recalibrate=True needs pictures="):
        convert(small, "bireal", recalibrate=True)
