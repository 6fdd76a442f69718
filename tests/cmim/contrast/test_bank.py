"""The memory of images against plain arithmetic, and draws of negatives by counting."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmim.contrast.bank import FeatureBank, draw_from_others


def test_rows_follow_the_moving_average_of_numpy():
    torch.manual_seed(0)
    bank = FeatureBank(7, 3, momentum=0.3).double()
    rows = bank.rows.numpy().copy()
    for step in range(4):
        indices = torch.randperm(7)[:4]
        vectors = torch.randn(4, 3, dtype=torch.float64)
        known = torch.tensor([True, step % 2 == 0, True, True])
        bank.blend(indices, vectors, known)
        for i, vector, moved in zip(indices, vectors.numpy(), known, strict=True):
            if moved:
                mixed = 0.3 * rows[i] + 0.7 * vector
                rows[i] = mixed / np.sqrt((mixed**2).sum())
    np.testing.assert_allclose(bank.rows.numpy(), rows, rtol=1e-12)


def test_rows_start_with_length_one_on_average():
    torch.manual_seed(0)
    rows = FeatureBank(4000, 16).rows
    assert rows.abs().max() <= (3 / 16) ** 0.5
    assert rows.square().sum(dim=1).mean().item() == pytest.approx(1, rel=0.02)


def test_looked_up_rows_are_a_copy():
    bank = FeatureBank(3, 2)
    bank.at(torch.tensor([[0, 1]])).zero_()
    assert (bank.rows != 0).all()


def test_without_momentum_a_row_is_the_last_projection():
    bank = FeatureBank(2, 2, momentum=0.0)
    bank.blend(torch.tensor([1]), torch.tensor([[3.0, 4.0]]))
    torch.testing.assert_close(bank.rows[1], torch.tensor([0.6, 0.8]))


def test_draws_are_uniform_over_the_other_groups():
    torch.manual_seed(0)
    groups = torch.tensor([4, -1, 2, 4, 2, 9, -1, 4])
    own = torch.tensor([4, 2, 9, 5, -1])
    drawn = draw_from_others(groups, own, 8000)
    for row, group in zip(drawn, own, strict=True):
        counts = torch.bincount(row, minlength=len(groups))
        others = groups != group
        assert (counts[~others] == 0).all()
        expected = 8000 / others.sum().item()
        assert (counts[others] - expected).abs().max() < 5 * expected**0.5


def test_draws_stay_inside_where_there_is_no_other_group():
    drawn = draw_from_others(torch.tensor([1, 1]), torch.tensor([1]), 50)
    assert set(drawn.flatten().tolist()) <= {0, 1}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(size=0), "rows must be at least 1, got 0"),
        (dict(momentum=1.0), r"momentum must be in \[0, 1\), got 1.0"),
        (dict(momentum=-0.1), "got -0.1"),
    ],
)
def test_sizes_out_of_range_are_said(options, said):
    with pytest.raises(ValueError, match=said):
        FeatureBank(**{"size": 4, "channels": 2, **options})
