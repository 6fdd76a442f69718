"""What bounds estimate, what they keep over steps, and what they refuse."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from bound_cases import (
    PARTNER,
    RATE,
    TEMPERATURE,
    C,
    D,
    H,
    N,
    P,
    W,
    fix_positions,
    make_inputs,
    make_labels,
    make_loss,
)
from torch import Tensor

from cmim.contrast import BatchLabels, ContrastOptions, get_loss


@pytest.fixture
def positions(monkeypatch) -> Tensor:
    return fix_positions(monkeypatch)


def test_nce_starts_from_m_and_n():
    """Eq. 5 by hand: two orthogonal pixels of a kind, tau 1, one negative, M = 2."""
    options = ContrastOptions(projection=2, pixels=2, temperature=1.0)
    loss = get_loss({"name": "nce", "samples": 2.0, "normalise": False})(2, 2, options)
    for layer in (loss.project_binary, loss.project_partner):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    features = torch.tensor([[[[3.0, 0.0]], [[0.0, 5.0]]]])
    positive, negative = math.e / (math.e + 0.5), 1 / (1 + 0.5)
    expected = -math.log(positive) - math.log(1 - negative)
    assert loss(features, features).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    "name", ["tuba", {"name": "interpolated", "alpha": 0.0}], ids=str
)
def test_bounds_with_a_baseline_start_as_nwj(name, positions):
    """Whose baseline is e."""
    options = ContrastOptions(projection=D, pixels=P, temperature=TEMPERATURE)
    values = []
    for entry in (name, "nwj"):
        torch.manual_seed(0)
        loss = get_loss(entry)(C, PARTNER, options).double()
        values.append(loss(*make_inputs()).item())
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_nce_fixes_z_at_the_first_step(positions):
    """Z N / M is N times the mean of e^s over the first batch's negative pairs."""
    loss = make_loss({"name": "nce"})
    means = None
    for step in range(3):
        features = make_inputs(step)
        binary = loss.project_binary.at(features[0], positions)
        partner = loss.project_partner.at(features[1], positions)
        s = binary @ partner.T / TEMPERATURE
        if means is None:
            means = off_diagonal(s).exp().mean().detach()
        count = len(s) - 1
        ratio = s.exp() / means / count
        losses = -(ratio / (1 + ratio)).diagonal().log()
        lost = -(1 / (1 + ratio)).log()
        forward = losses + lost.sum(1) - lost.diagonal()
        backward = losses + lost.sum(0) - lost.diagonal()
        expected = (forward.mean() + backward.mean()) / 2
        torch.testing.assert_close(loss(*features), expected)


def test_nce_keeps_z_in_checkpoints_and_in_evaluation(positions):
    loss = make_loss({"name": "nce"})
    assert loss.bound.log_mean.isnan()
    nothing = BatchLabels(exclude=torch.full((N, H, W), -1))
    assert loss(*make_inputs(), nothing) == 0
    assert loss.bound.log_mean.isnan()  # a batch without negatives sets no constant
    loss(*make_inputs())
    state = {k: v.clone() for k, v in loss.state_dict().items()}
    assert state["bound.log_mean"].isfinite()
    loss.eval()(*make_inputs(5))
    loss.train()(*make_inputs(6))
    assert loss.bound.log_mean == state["bound.log_mean"]
    resumed = make_loss({"name": "nce"})
    resumed.load_state_dict(state)
    assert resumed(*make_inputs(7)) == loss(*make_inputs(7))


def test_nce_forgets_its_z_when_a_state_is_loaded(positions):
    """A state without Z sets it anew at the next step; one with Z is used as it is."""
    unset, trained = make_loss({"name": "nce"}), make_loss({"name": "nce"})
    trained(*make_inputs(3))
    for source in (unset, trained):
        loss = make_loss({"name": "nce"})
        loss(*make_inputs(5))
        own = loss.bound.log_mean.item()
        loss.load_state_dict(copy.deepcopy(source.state_dict()))
        for step in (6, 7):
            assert loss(*make_inputs(step)) == source(*make_inputs(step))
        assert loss.bound.log_mean.isfinite()
        assert loss.bound.log_mean == source.bound.log_mean != own


def test_nce_starts_near_one_plus_log_n(positions):
    """Paper and code: the loss of a critic that knows nothing."""
    loss = make_loss({"name": "nce"})
    for layer in (loss.project_binary, loss.project_partner):
        torch.nn.init.zeros_(layer.weight)
    count = N * P - 1
    expected = math.log(1 + count) + count * math.log(1 + 1 / count)
    assert loss(*make_inputs()).item() == pytest.approx(expected)
    assert expected == pytest.approx(1 + math.log(count), rel=0.02)


def bound_and_scores(name: str, positions: Tensor, seed: int = 1):
    loss, features = make_loss(name), make_inputs(seed)
    binary = loss.project_binary.at(features[0], positions)
    partner = loss.project_partner.at(features[1], positions)
    return loss.bound, loss.scores(binary, partner, None)[0]


def matrix_of(scores) -> Tensor:
    return scores.anchors @ scores.candidates[0].vectors.T / TEMPERATURE


def off_diagonal(matrix: Tensor) -> Tensor:
    return matrix[~torch.eye(len(matrix), dtype=torch.bool)]


def test_estimates_read_the_information(positions):
    bound, scores = bound_and_scores("info_nce", positions)
    s = matrix_of(scores)
    expected = math.log(len(s)) - F.cross_entropy(s, torch.arange(len(s)))
    torch.testing.assert_close(bound.estimate(scores), expected)
    bound, scores = bound_and_scores("jensen_shannon", positions)
    s = matrix_of(scores)
    expected = 1 + s.diagonal().mean() - off_diagonal(s).exp().mean()
    torch.testing.assert_close(bound.estimate(scores), expected)
    bound, scores = bound_and_scores("nwj", positions)
    s = matrix_of(scores)
    expected = s.diagonal().mean() - off_diagonal(s - 1).exp().mean()
    torch.testing.assert_close(bound.estimate(scores), expected)
    bound, scores = bound_and_scores("donsker_varadhan", positions)
    s = matrix_of(scores)
    expected = s.diagonal().mean() - off_diagonal(s).exp().mean().log()
    torch.testing.assert_close(bound.estimate(scores), expected)
    bound, scores = bound_and_scores("nce", positions)
    expected = math.log(len(matrix_of(scores)) - 1) - bound(scores).mean()
    torch.testing.assert_close(bound.estimate(scores), expected)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_interpolated_ends_in_tuba_and_in_the_leave_one_out_form(alpha, positions):
    bound, scores = bound_and_scores("interpolated", positions)
    bound.alpha = alpha
    s, size = matrix_of(scores), N * P
    log_a = bound.log_baseline(scores.anchors)
    if alpha == 0:
        expected = 1 + (s.diagonal()[:, None] - log_a).mean()
        expected = expected - off_diagonal((s - log_a).exp()).mean()
    else:
        exps = s.exp()
        without = (exps.sum(1, keepdim=True) - exps) / (size - 1)
        ratios = s.diagonal()[:, None] - without.log()
        # Each row's mean of e^s over the mean without its own is 1.
        expected = off_diagonal(ratios).mean()
    torch.testing.assert_close(bound.estimate(scores), expected)


def test_interpolated_refuses_labels_and_queue():
    with pytest.raises(ValueError, match="'interpolated' does not use queue"):
        make_loss("interpolated", queue=5)
    with pytest.raises(ValueError, match="set negatives='all'"):
        make_loss("interpolated")(*make_inputs(), BatchLabels(exclude=make_labels()))


def test_mine_averages_over_steps_and_its_gradient_divides_by_the_average(positions):
    """First step: the batch's own mean, as DV. Then RATE of the new and the rest."""
    average = None
    bound = make_loss("mine").bound
    for step in range(4):
        _, scores = bound_and_scores("mine", positions, step)
        mean = off_diagonal(matrix_of(scores)).exp().mean()
        average = mean if average is None else (1 - RATE) * average + RATE * mean
        matrix = matrix_of(scores).detach().requires_grad_()
        wanted = off_diagonal(matrix).exp().mean() / average.detach()
        wanted = (wanted - matrix.diagonal().mean()).backward() or matrix.grad
        scores.anchors.retain_grad()
        value = bound(scores).mean()
        value.backward()
        torch.testing.assert_close(bound.log_average.exp(), average.detach())
        expected = mean.log() - matrix_of(scores).diagonal().mean()
        torch.testing.assert_close(value, expected)
        ours = scores.anchors.grad
        theirs = wanted @ scores.candidates[0].vectors / TEMPERATURE
        torch.testing.assert_close(ours, theirs)


def test_mine_keeps_its_average_in_checkpoints_and_in_evaluation(positions):
    loss = make_loss("mine")
    loss(*make_inputs())
    state = {k: v.clone() for k, v in loss.state_dict().items()}
    assert {"bound.log_average", "bound_reverse.log_average"} <= set(state)
    assert state["bound.log_average"].isfinite()
    loss.eval()(*make_inputs(5))
    assert loss.bound.log_average == state["bound.log_average"]
    resumed = make_loss("mine")
    resumed.load_state_dict(state)
    for part in (loss.train(), resumed):
        part(*make_inputs(6))
    assert loss.bound.log_average == resumed.bound.log_average
    assert loss.bound.log_average != state["bound.log_average"]


def test_mine_passes_over_batches_without_negatives(positions):
    loss, nothing = make_loss("mine"), BatchLabels(exclude=torch.full((N, H, W), -1))
    loss(*make_inputs(), nothing)
    assert loss.bound.log_average.isnan()
    loss(*make_inputs())
    before = loss.bound.log_average.clone()
    loss(*make_inputs(), nothing)
    assert loss.bound.log_average == before


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"name": "mine", "rate": 0.0}, r"rate must be in \(0, 1\], got 0.0"),
        ({"name": "mine", "rate": 1.5}, r"rate must be in \(0, 1\], got 1.5"),
        (
            {"name": "nce", "samples": 0, "normalise": False},
            "samples must be positive, got 0",
        ),
        ({"name": "nce", "samples": 9}, "samples=9 has no effect"),
        ({"name": "interpolated", "alpha": 2}, r"alpha must be in \[0, 1\], got 2"),
    ],
    ids=str,
)
def test_options_out_of_range(loss, message):
    with pytest.raises(ValueError, match=message):
        get_loss(loss)(C, PARTNER, ContrastOptions())
