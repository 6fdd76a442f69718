"""What the loss benchmark compares; nothing here is judged by its time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cmim.bench.loss import OURS, Turns, bench_loss, share_of_step
from cmim.bench.released_cmim_loss import draw_as_released
from cmim.contrast import bank_loss
from cmim.engine.config import load_config

CONFIGS = Path(__file__).parents[3] / "configs"


def test_the_released_loss_and_ours_are_the_same(monkeypatch):
    """Equal banks, projections and negatives: equal value and gradient."""
    turns = Turns(batch=5, negatives=40, rows=300, features=16)
    ours, theirs = turns.ours["cmim_released"], turns.released
    ours.shared = False
    for name, layer in zip(("partner", "binary"), theirs.layers, strict=True):
        getattr(ours, f"project_{name}").load_state_dict(layer.state_dict())
    ours.partner_bank.rows.copy_(theirs.bank0)
    ours.binary_bank.rows.copy_(theirs.bank1)
    for _ in range(3):
        turns.next_batch()
        drawn = turns.sample[:, 1:]
        monkeypatch.setattr(bank_loss, "draw_from_others", lambda *a, d=drawn: d)
        turns.run("released")
        expected = turns.binary.grad.clone()
        turns.run("cmim_released")
        assert expected.abs().max() > 0
        torch.testing.assert_close(turns.binary.grad, expected, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(ours.partner_bank.rows, theirs.bank0)
    torch.testing.assert_close(
        ours.log_normalizer.exp(), torch.tensor(theirs.normalizers[::-1])
    )


@pytest.mark.parametrize("negatives", [3, 50])
def test_negatives_are_drawn_from_other_classes(negatives):
    classes = np.arange(20) % 4
    others = [np.flatnonzero(classes != c) for c in range(4)]
    batch = np.array([7, 0, 9])
    rng = np.random.RandomState(0)
    sample = draw_as_released(rng, others, classes[batch], batch, negatives).numpy()
    assert sample.shape == (3, 1 + negatives)
    assert (sample[:, 0] == batch).all()
    for row, image in zip(sample[:, 1:], batch, strict=True):
        assert (classes[row] != classes[image]).all()
        assert (len(set(row)) == negatives) == (negatives == 3)


def test_every_loss_scores_as_many_negatives():
    turns = Turns(batch=4, negatives=30, rows=200, features=8)
    assert turns.sample.shape == (4, 31)
    assert turns.ours["cmim_released"].negatives == 30
    for name in ("nce", "info_nce"):
        assert turns.ours[name].queue.rows.shape == (30, 128)
        assert turns.ours[name].queue.filled.all()


def test_figures_are_relative_to_the_released_way():
    figures = bench_loss(batch=4, negatives=20, rows=200, features=8, rounds=2)
    assert figures["released"]["speedup"] == 1
    assert all(figures[name]["ms"] > 0 for name in OURS)
    assert figures["speedup_vs_released"] == figures["nce"]["speedup"]
    assert figures["speedup_same_loss"] == figures["cmim_released"]["speedup"]


def test_share_of_a_step():
    config = load_config(CONFIGS / "cifar10_resnet20_bireal.py")
    config.train_dataloader.batch_size = 2
    figures = share_of_step(config, steps=1)
    shares = figures["share_of_step"]
    assert set(shares) == {"latent", "teacher", "teacher_forward"}
    assert 0 < shares["teacher_forward"] < 1
    for name in ("latent", "teacher"):
        overhead = figures["step"][name]["overhead"]
        assert shares[name] == pytest.approx(1 - 1 / (1 + overhead), abs=1e-4)
