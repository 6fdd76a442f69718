"""Bounds on mutual information against loops, by hand, and what leaves them alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cmim.functional.bounds import (
    donsker_varadhan_loss,
    info_nce_loss,
    interpolated_bound,
    jensen_shannon_loss,
    log_leave_one_out_mean,
    nce_loss,
    nwj_loss,
    tuba_loss,
)

K = 6


def draw_scores(size: int = K, scale: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return scale * torch.randn(size, size, generator=generator, dtype=torch.float64)


def draw_baseline(size: int = K) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(size, generator=generator, dtype=torch.float64)


def parts_of(scores: Tensor) -> dict[str, Tensor]:
    """What the bounds are given, from a square matrix, positives on its diagonal."""
    size = len(scores)
    own = torch.eye(size, dtype=torch.bool)
    log_sum = scores.masked_fill(own, -math.inf).logsumexp(1)
    return dict(
        positive=scores.diagonal(),
        log_sum=log_sum,
        log_mean=log_sum - math.log(size - 1),
        log_mean_all=log_sum.logsumexp(0) - math.log(size * (size - 1)),
        softplus=torch.nn.functional.softplus(scores).masked_fill(own, 0).sum(1),
    )


SHIFT = math.log(63 / 500)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def naive_losses(s: list[list[float]], log_baseline: list[float]) -> dict[str, list]:
    """The formulas as the papers print them, anchor by anchor."""
    everyone = range(len(s))
    losses: dict[str, list] = {}

    def add(name: str, value: float) -> None:
        losses.setdefault(name, []).append(value)

    pairs = [(i, j) for i in everyone for j in everyone if i != j]
    all_pairs = sum(math.exp(s[i][j]) for i, j in pairs) / len(pairs)
    for i in everyone:
        positive, negatives = s[i][i], [s[i][j] for j in everyone if j != i]
        exps = [math.exp(x) for x in negatives]
        mean = sum(exps) / len(exps)
        a = math.exp(log_baseline[i])
        add(
            "info_nce", -math.log(math.exp(positive) / (math.exp(positive) + sum(exps)))
        )
        ratio = math.exp(SHIFT)

        def h(x: float, ratio: float = ratio) -> float:
            return math.exp(x) / (math.exp(x) + ratio)

        add("nce", -math.log(h(positive)) - sum(math.log(1 - h(x)) for x in negatives))
        add("tuba", -(1 + math.log(math.exp(positive) / a) - mean / a))
        add("nwj", -(positive - mean / math.e))
        add("dv", -(positive - math.log(all_pairs)))
        js = softplus(-positive) + sum(map(softplus, negatives)) / len(negatives)
        add("js", js)
    return losses


def our_losses(scores: Tensor, log_baseline: Tensor) -> dict[str, Tensor]:
    p = parts_of(scores)
    own = torch.eye(len(scores), dtype=torch.bool)
    shifted = torch.nn.functional.softplus(scores - SHIFT).masked_fill(own, 0).sum(1)
    return dict(
        info_nce=info_nce_loss(p["positive"], p["log_sum"]),
        nce=nce_loss(p["positive"], shifted, SHIFT),
        tuba=tuba_loss(p["positive"], p["log_mean"], log_baseline),
        nwj=nwj_loss(p["positive"], p["log_mean"]),
        dv=donsker_varadhan_loss(p["positive"], p["log_mean_all"]),
        js=jensen_shannon_loss(p["positive"], p["softplus"] / (len(scores) - 1)),
    )


NAMES = ("info_nce", "nce", "tuba", "nwj", "dv", "js")


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_loop(name):
    scores, log_baseline = draw_scores(), draw_baseline()
    ours = our_losses(scores, log_baseline)[name]
    naive = naive_losses(scores.tolist(), log_baseline.tolist())[name]
    assert ours.tolist() == pytest.approx(naive, rel=1e-12)


def naive_interpolated(s: list[list[float]], log_a: list[float], alpha: float) -> float:
    """Every sample held out in turn, as the notebook of Poole et al. explains it."""
    size, total = len(s), 0.0

    def baseline(i: int, held_out: int) -> float:
        others = [math.exp(s[i][k]) for k in range(size) if k != held_out]
        mean = sum(others) / len(others)
        return alpha * mean + (1 - alpha) * math.exp(log_a[i])

    for j in range(size):
        for i in range(size):
            if i == j:
                continue
            joint = math.log(math.exp(s[i][i]) / baseline(i, j))
            total += joint - math.exp(s[j][i]) / baseline(j, j)
    return 1 + total / (size * (size - 1))


@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("size", [3, K])
def test_interpolated_equals_the_loop(alpha, size):
    scores, log_a = draw_scores(size), draw_baseline(size)
    naive = naive_interpolated(scores.tolist(), log_a.tolist(), alpha)
    ours = interpolated_bound(scores, log_a, alpha)
    assert ours.item() == pytest.approx(naive, rel=1e-12)


def test_values_by_hand():
    """One anchor: positive log 6, negatives log 1 and log 3."""
    positive, log_sum = torch.tensor([6.0]).log(), torch.tensor([4.0]).log()
    log_mean = torch.tensor([2.0]).log()
    assert info_nce_loss(positive, log_sum).exp().item() == pytest.approx(10 / 6)
    nwj = nwj_loss(positive, log_mean).item()
    assert nwj == pytest.approx(2 / math.e - math.log(6))
    tuba = tuba_loss(positive, log_mean, math.log(4)).item()
    assert tuba == pytest.approx(0.5 - 1 - math.log(1.5))
    dv = donsker_varadhan_loss(positive, torch.tensor(2.0).log()).item()
    assert dv == pytest.approx(-math.log(3))
    # 1 + e^-s+ = 7/6; 1 + e^s = 2 and 4.
    js = jensen_shannon_loss(positive, torch.tensor([math.log(8) / 2])).item()
    assert js == pytest.approx(math.log(7 / 6) + math.log(8) / 2)
    # N/M = 2: h = 6/8 for the positive, 1/3 and 3/5 for the negatives.
    sums = torch.tensor([math.log(1.5) + math.log(2.5)])
    nce = nce_loss(positive, sums, math.log(2)).item()
    assert nce == pytest.approx(-math.log(3 / 4) - math.log(2 / 3) - math.log(2 / 5))
    # Means without one's own column 5/2, on the diagonal 1: q = 7/4 and 1.
    scores = torch.eye(3) * math.log(4)
    between = interpolated_bound(scores, 0.0, 0.5).item()
    assert between == pytest.approx(1 + math.log(4) - math.log(7 / 4) - 1)


@pytest.mark.parametrize("name", ["info_nce", "dv"])
def test_a_constant_on_all_scores_changes_nothing(name):
    scores, log_baseline = draw_scores(), draw_baseline()
    before = our_losses(scores, log_baseline)[name]
    torch.testing.assert_close(our_losses(scores + 3, log_baseline)[name], before)


def test_a_constant_on_scores_and_baseline_changes_nothing():
    scores, log_a = draw_scores(), draw_baseline()
    shifted = our_losses(scores + 3, log_a + 3)["tuba"]
    torch.testing.assert_close(shifted, our_losses(scores, log_a)["tuba"])
    for alpha in (0.0, 0.3, 1.0):
        before = interpolated_bound(scores, log_a, alpha)
        after = interpolated_bound(scores + 3, log_a + 3, alpha)
        torch.testing.assert_close(after, before)


def test_alpha_1_ignores_the_baseline_and_alpha_0_the_mean_of_others():
    scores, log_a = draw_scores(), draw_baseline()
    whole = interpolated_bound(scores, log_a, 1.0)
    torch.testing.assert_close(interpolated_bound(scores, log_a + 9, 1.0), whole)
    tuba = -our_losses(scores, log_a)["tuba"].mean()
    torch.testing.assert_close(interpolated_bound(scores, log_a, 0.0), tuba)


def test_order_of_the_samples_does_not_matter():
    scores, log_a = draw_scores(), draw_baseline()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    before = interpolated_bound(scores, log_a, 0.3)
    after = interpolated_bound(scores[order][:, order], log_a[order], 0.3)
    torch.testing.assert_close(after, before)
    ours = our_losses(scores, log_a)
    for name, values in our_losses(scores[order][:, order], log_a[order]).items():
        torch.testing.assert_close(values, ours[name][order])


def test_ceilings_are_reached_by_perfect_scores_and_not_passed():
    """InfoNCE ends at log K, I_alpha at 1 + log((K - 1) / alpha), log(K - 1) at 1."""
    scores = 80 * torch.eye(K, dtype=torch.float64) - 40
    nce = math.log(K) - our_losses(scores, draw_baseline())["info_nce"].mean().item()
    assert nce == pytest.approx(math.log(K))
    for alpha in (0.01, 0.5):
        bound = interpolated_bound(scores, draw_baseline(), alpha).item()
        assert bound == pytest.approx(1 + math.log((K - 1) / alpha))
        weaker = interpolated_bound(draw_scores(scale=9.0), 0.0, alpha).item()
        assert weaker < bound
    whole = interpolated_bound(scores, draw_baseline(), 1.0).item()
    assert whole == pytest.approx(math.log(K - 1))


def test_nwj_is_tuba_at_e_and_best_at_the_mean_of_exponentials():
    p = parts_of(draw_scores())
    nwj = nwj_loss(p["positive"], p["log_mean"])
    tuba = tuba_loss(p["positive"], p["log_mean"], torch.ones(K).double())
    torch.testing.assert_close(nwj, tuba)
    best = tuba_loss(p["positive"], p["log_mean"], p["log_mean"])
    for change in (-1, 1):
        worse = tuba_loss(p["positive"], p["log_mean"], p["log_mean"] + change)
        assert (worse > best).all()
    assert (nwj >= best).all()


def test_leave_one_out_mean_equals_the_loop_also_where_one_dominates():
    scores = draw_scores()
    scores[0, 2] = 500.0
    ours = log_leave_one_out_mean(scores)
    for i in range(K):
        for j in range(K):
            others = [scores[i, k].item() for k in range(K) if k != j]
            peak = max(others)
            total = sum(math.exp(x - peak) for x in others)
            naive = peak + math.log(total / (K - 1))
            assert ours[i, j].item() == pytest.approx(naive, rel=1e-12)


def test_gradients_are_those_of_the_formulas():
    scores = draw_scores(4).requires_grad_()
    log_a = draw_baseline(4).requires_grad_()
    for alpha in (0.0, 0.3, 1.0):
        assert torch.autograd.gradcheck(
            lambda s, a, alpha=alpha: interpolated_bound(s, a, alpha), (scores, log_a)
        )
    for name in NAMES:
        assert torch.autograd.gradcheck(
            lambda s, a, name=name: our_losses(s, a)[name], (scores, log_a)
        )


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)], ids=str
)
def test_precision(dtype, tolerance):
    scores, log_a = draw_scores(), draw_baseline()
    low = scores.to(dtype), log_a.to(dtype)
    # Compared at the rounded inputs: the formulas' own error, not that of the input.
    exact = our_losses(low[0].double(), low[1].double())
    for name, values in our_losses(*low).items():
        assert values.dtype == dtype
        error = (values.double() - exact[name]).abs() / (1 + exact[name].abs())
        assert error.max() < tolerance, name
    bound = interpolated_bound(*low, 0.3)
    reference = interpolated_bound(low[0].double(), low[1].double(), 0.3)
    assert bound.dtype == dtype
    assert bound.item() == pytest.approx(reference.item(), rel=tolerance, abs=tolerance)


def test_without_negatives_info_nce_is_zero_with_zero_gradient():
    positive = torch.tensor([1.0, 2.0], requires_grad=True)
    log_sum = torch.tensor([-math.inf, 0.0], requires_grad=True)
    loss = info_nce_loss(positive, log_sum)
    loss.sum().backward()
    assert loss[0] == 0
    assert positive.grad[0] == 0
    assert log_sum.grad[0] == 0
    assert loss[1] > 0
    assert log_sum.grad[1] > 0


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan])
def test_alpha_must_be_a_share(alpha):
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\]"):
        interpolated_bound(draw_scores(), 0.0, alpha)


@pytest.mark.parametrize("shape", [(2, 2), (4, 5)], ids=str)
def test_interpolated_needs_a_square_of_three(shape):
    with pytest.raises(ValueError, match="at least 3 samples"):
        interpolated_bound(torch.zeros(shape), 0.0, 0.5)
