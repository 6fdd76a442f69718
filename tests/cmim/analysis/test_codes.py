"""Statistics of codes: naive tables, streaming, known channels, errors."""

from __future__ import annotations

import math

import pytest
import torch

from cmim.analysis.codes import CodeStatistics, flip_ratio


def summary_of(*batches: torch.Tensor):
    statistics = CodeStatistics()
    for batch in batches:
        statistics.update(batch)
    return statistics.summary()


def some_codes(*shape: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    level = torch.linspace(0.05, 0.95, shape[1]).view(1, -1, *[1] * (len(shape) - 2))
    codes = torch.rand(shape, generator=random) < level
    codes[:, 2] = codes[:, 1] ^ (torch.rand(codes[:, 1].shape, generator=random) < 0.2)
    codes[:, 3] = True
    return codes


def entropy(*shares: float) -> float:
    return -sum(p * math.log2(p) for p in shares if p > 0)


def naive_pair(a: list[bool], b: list[bool]) -> float:
    """Sum over the four cells of p log2(p / (p_a p_b))."""
    total = 0.0
    for u in (True, False):
        for v in (True, False):
            p = sum(x == u and y == v for x, y in zip(a, b, strict=True)) / len(a)
            if p:
                of_a, of_b = a.count(u) / len(a), b.count(v) / len(b)
                total += p * math.log2(p / (of_a * of_b))
    return total


def test_against_counting_by_hand():
    codes = some_codes(2, 6, 5, 4)
    found = summary_of(codes)
    rows = codes.transpose(0, 1).flatten(1).tolist()
    share = [row.count(True) / len(row) for row in rows]
    entropies = [entropy(p, 1 - p) for p in share]
    pairs = [naive_pair(rows[i], rows[j]) for i in range(6) for j in range(6) if i != j]
    assert found.places == 40
    assert found.high_share.tolist() == pytest.approx(share, abs=1e-12)
    assert found.entropy.tolist() == pytest.approx(entropies, abs=1e-12)
    assert found.mean_entropy == pytest.approx(sum(entropies) / 6)
    assert found.dead_share == pytest.approx(sum(h < 0.01 for h in entropies) / 6)
    assert found.mean_pairwise_information == pytest.approx(sum(pairs) / 30, abs=1e-12)


@pytest.mark.parametrize("cuts", [(1, 2, 5), (4, 4), (7, 1)])
def test_batches_do_not_matter(cuts):
    codes = some_codes(8, 5, 3, 3)
    whole, parts = summary_of(codes), summary_of(*codes.split(cuts))
    for one, other in zip(whole, parts, strict=True):
        equal = torch.equal(one, other) if torch.is_tensor(one) else one == other
        assert equal


def test_order_and_level_do_not_matter():
    """Information does not ask which level is which, nor where a place lies."""
    codes = some_codes(6, 5, 3, 3)
    found = summary_of(codes)
    flipped = codes.clone()
    flipped[:, 1] = ~flipped[:, 1]
    places = codes.flatten(2)[:, :, torch.randperm(9)]
    for other in (flipped, places, codes.flip(1)):
        same = summary_of(other)
        assert same.mean_entropy == pytest.approx(found.mean_entropy)
        assert same.mean_pairwise_information == pytest.approx(
            found.mean_pairwise_information
        )


def test_copies_share_one_bit_and_independent_codes_none():
    half = torch.tensor([True, True, False, False])
    other = torch.tensor([True, False, True, False])
    copies = summary_of(torch.stack([half, half, ~half], 1))
    assert copies.mean_pairwise_information == 1
    assert copies.mean_entropy == 1
    assert copies.dead_share == 0
    apart = summary_of(torch.stack([half, other], 1))
    assert apart.mean_pairwise_information == 0


def test_independent_codes_have_the_bias_of_a_finite_sample():
    codes = torch.rand(1000, 40, generator=torch.Generator().manual_seed(0)) < 0.5
    found = summary_of(codes).mean_pairwise_information
    assert found == pytest.approx(1 / (2 * 1000 * math.log(2)), rel=0.1)


def test_channels_that_never_change_and_a_single_one():
    dead = summary_of(torch.ones(2, 3, 4, 4, dtype=torch.bool))
    assert dead.entropy.tolist() == [0, 0, 0]
    assert not torch.signbit(dead.entropy).any()
    assert (dead.dead_share, dead.mean_pairwise_information) == (1, 0)
    assert summary_of(torch.eye(4).bool()[:, :1]).mean_pairwise_information == 0


def test_the_limit_of_dead_is_a_hundredth_of_a_bit():
    codes = torch.zeros(10_000, 2, dtype=torch.bool)
    codes[:8, 0] = True  # 0.0094 bits
    codes[:9, 1] = True  # 0.0104 bits
    found = summary_of(codes)
    assert (found.entropy < 0.01).tolist() == [True, False]
    assert found.dead_share == 0.5


def test_errors_of_codes():
    statistics = CodeStatistics()
    with pytest.raises(ValueError, match="call update"):
        statistics.summary()
    with pytest.raises(TypeError, match=r"float32; give a boolean .* codes > 0"):
        statistics.update(torch.ones(1, 2, 3, 3))
    with pytest.raises(ValueError, match=r"shape \(4,\)"):
        statistics.update(torch.ones(4, dtype=torch.bool))
    statistics.update(torch.ones(1, 2, 3, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="have 3 channels, those before 2"):
        statistics.update(torch.ones(1, 3, 3, 3, dtype=torch.bool))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_zero_of_either_sign_is_positive(dtype):
    before = torch.tensor([[0.0, -0.0, -1.0, 2.0, -1e-30]], dtype=dtype)
    after = torch.tensor([[-0.0, 1.0, 0.0, -2.0, -3.0]], dtype=dtype)
    assert flip_ratio(before, after).item() == pytest.approx(2 / 5)
    assert flip_ratio(after, before) == flip_ratio(before, after)
    assert flip_ratio(before >= 0, after >= 0).item() == pytest.approx(2 / 5)
    assert flip_ratio(before, 3 * before) == 0
    assert flip_ratio(after[:, 3:], -after[:, 3:]) == 1


def test_nan_stays_nan_and_errors_of_flips():
    signs = torch.ones(3)
    assert flip_ratio(signs, torch.tensor([1.0, math.nan, 1.0])).isnan()
    assert flip_ratio(torch.tensor([math.nan] * 3), signs).isnan()
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        flip_ratio(signs, signs[1:])
    with pytest.raises(ValueError, match="not empty"):
        flip_ratio(signs[3:], signs[3:])
    with pytest.raises(TypeError, match="uint8 has no signs"):
        flip_ratio(signs.to(torch.uint8), signs.to(torch.uint8))
