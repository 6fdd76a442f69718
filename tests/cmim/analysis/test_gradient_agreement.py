"""Gradients of two losses against hand values."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from cmim.analysis.gradient_agreement import agreement, loss_gradients, split_losses


@pytest.fixture
def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_a_loss_agrees_with_itself_and_not_with_its_opposite(net):
    loss = net(torch.randn(5, 3)).square().mean()
    groups = {"all": list(net.parameters())}
    own = loss_gradients(loss, groups)["all"]
    assert agreement(own, loss_gradients(2 * loss, groups)["all"]) == pytest.approx(
        (1, 2)
    )
    assert agreement(own, loss_gradients(-loss, groups)["all"]) == pytest.approx(
        (-1, 1)
    )


def test_groups_may_overlap_and_match_backward(net):
    loss = net(torch.randn(5, 3)).square().mean()
    first, last = list(net[0].parameters()), list(net[2].parameters())
    found = loss_gradients(loss, {"all": [*first, *last], "first": first, "last": last})
    loss.backward()
    expected = [p.grad.flatten() for p in (*first, *last)]
    assert torch.equal(found["all"], torch.cat(expected))
    assert torch.equal(found["first"], torch.cat(expected[:2]))
    assert torch.equal(found["last"], torch.cat(expected[2:]))


def test_weights_out_of_reach_have_gradient_zero(net):
    groups = {"first": list(net[0].parameters()), "last": list(net[2].parameters())}
    inner = loss_gradients(net[0](torch.randn(5, 3)).sum(), groups)
    assert inner["last"].eq(0).all()
    found = agreement(inner["first"], torch.zeros_like(inner["first"]))
    assert math.isnan(found.cosine)
    assert found.ratio == 0


def test_orthogonal_gradients():
    assert agreement(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 3.0])) == (0, 1.5)


def test_losses_are_split_by_name():
    losses = {
        "decode.loss_ce": torch.tensor([1.0, 3.0]),
        "decode.acc_seg": torch.tensor(90.0),
        "aux.loss": [torch.tensor(4.0), torch.tensor(5.0)],
        "cmim.loss_a": torch.tensor(10.0),
        "cmim.loss_b": torch.tensor(20.0),
    }
    task, added = split_losses(losses)
    assert (task.item(), added.item()) == (11, 30)


@pytest.mark.parametrize("names", [["decode.loss"], ["cmim.loss_a"], []])
def test_one_kind_alone_cannot_be_compared(names):
    with pytest.raises(ValueError, match=r"model\.partner=latent"):
        split_losses({name: torch.tensor(1.0) for name in names})
