"""The losses by name, on feature maps, against loops over anchors and candidates."""

from __future__ import annotations

import math

import pytest
import torch
from bound_cases import (
    ALPHA,
    LOSSES,
    SAMPLES,
    TEMPERATURE,
    H,
    N,
    W,
    fix_positions,
    make_inputs,
    make_labels,
    make_loss,
)
from torch import Tensor

from cmim.contrast import BatchLabels
from cmim.contrast.pairs import IGNORED


@pytest.fixture
def positions(monkeypatch) -> Tensor:
    return fix_positions(monkeypatch)


each_loss = pytest.mark.parametrize("name", LOSSES)
with_labels = pytest.mark.parametrize("name", [n for n in LOSSES if n[:3] != "int"])


def project(layer: torch.nn.Linear, features: Tensor, positions: Tensor) -> list:
    vectors = []
    for image, places in zip(features, positions.tolist(), strict=True):
        for place in places:
            z = layer.weight @ image[:, place // W, place % W] + layer.bias
            vectors.append((z / z.norm()).tolist())
    return [list(map(float, v)) for v in vectors]


def score_of(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / TEMPERATURE


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def naive_anchor(name: str, positive: float, negatives: list, extra: dict) -> float:
    """Loss of one anchor that has negatives."""
    exps = list(map(math.exp, negatives))
    mean = sum(exps) / len(exps)
    if name == "info_nce":
        return -math.log(math.exp(positive) / (math.exp(positive) + sum(exps)))
    if name == "nce":
        ratio = extra["candidates"] / SAMPLES
        own = math.exp(positive) / (math.exp(positive) + ratio)
        return -math.log(own) - sum(math.log(ratio / (e + ratio)) for e in exps)
    if name == "nwj":
        return mean / math.e - positive
    if name == "tuba":
        baseline = math.exp(extra["log_baseline"])
        return mean / baseline - 1 - positive + math.log(baseline)
    if name == "jensen_shannon":
        return softplus(-positive) + sum(map(softplus, negatives)) / len(negatives)
    return math.log(extra["mean_of_all"]) - positive  # DV, and the value of MINE


def naive_direction(name, bound, anchors, candidates, labels, others, places) -> float:
    """Mean over anchors of known label; candidate i is the positive of anchor i."""
    rows = []
    for i, anchor in enumerate(anchors):
        rows.append([])
        for j, candidate in enumerate(candidates):
            if labels is not None:
                same = labels[i] == others[j]
                if same or IGNORED in (labels[i], others[j]):
                    continue
            if j != i:
                rows[i].append(score_of(anchor, candidate))
    everything = [math.exp(s) for row in rows for s in row]
    total = 0.0
    for i, (anchor, negatives) in enumerate(zip(anchors, rows, strict=True)):
        if not negatives:
            continue
        extra = dict(
            candidates=places - 1,
            mean_of_all=sum(everything) / len(everything),
        )
        if name == "tuba":
            baseline = bound.log_baseline
            own = torch.tensor(anchor, dtype=torch.float64)
            extra["log_baseline"] = float(baseline.weight[0] @ own + baseline.bias)
        total += naive_anchor(name, score_of(anchor, candidates[i]), negatives, extra)
    known = sum(label != IGNORED for label in labels) if labels else len(anchors)
    return total / known


def naive_interpolated(bound, anchors, candidates) -> float:
    s = [[score_of(a, c) for c in candidates] for a in anchors]
    size, total = len(s), 0.0
    layer = bound.log_baseline
    z = torch.tensor(anchors, dtype=torch.float64)
    log_a = (z @ layer.weight[0] + layer.bias).tolist()

    def q(i: int, held_out: int) -> float:
        others = [math.exp(s[i][k]) for k in range(size) if k != held_out]
        mean = sum(others) / len(others)
        return ALPHA * mean + (1 - ALPHA) * math.exp(log_a[i])

    for i in range(size):
        for j in range(size):
            if i != j:
                total += s[i][i] - math.log(q(i, j)) - math.exp(s[i][j]) / q(i, i)
    return -1 - total / (size * (size - 1))


@torch.no_grad()
def naive_loss(name, loss, features, positions, labels=None, past=((), ())) -> float:
    binary = project(loss.project_binary, features[0], positions)
    partner = project(loss.project_partner, features[1], positions)
    if name == "interpolated":
        forward = naive_interpolated(loss.bound, binary, partner)
        backward = naive_interpolated(loss.bound_reverse, partner, binary)
        return (forward + backward) / 2
    picked = None
    if labels is not None:
        picked = labels.flatten(1).gather(1, positions).flatten().tolist()
    candidates = partner + list(past[0])
    others = None if picked is None else picked + list(past[1])
    # N of NCE is a constant: the queue counts before it is full.
    places = len(partner) + loss.options.queue
    both = (loss.bound, binary, candidates, picked, others, places)
    forward = naive_direction(name, *both)
    both = (loss.bound_reverse, partner, binary, picked, picked, len(binary))
    return (forward + naive_direction(name, *both)) / 2


@each_loss
def test_equals_the_loops(name, positions):
    loss, features = make_loss(name), make_inputs()
    expected = naive_loss(name, loss, features, positions)
    assert loss(*features).item() == pytest.approx(expected, rel=1e-9)


@with_labels
@pytest.mark.parametrize("queue", [0, 7, 40])
def test_equals_the_loops_with_labels_and_queue(name, queue, positions):
    loss, rows, kept = make_loss(name, queue=queue), [], []
    for step in range(3):
        features, labels = make_inputs(step), make_labels(step)
        expected = naive_loss(name, loss, features, positions, labels, (rows, kept))
        value = loss(*features, BatchLabels(exclude=labels))
        value.backward()  # the queue has moved on in place
        assert value.item() == pytest.approx(expected, rel=1e-9)
        if queue:
            new = project(loss.project_partner, features[1], positions)
            rows = (rows + new)[-queue:]
            picked = labels.flatten(1).gather(1, positions).flatten().tolist()
            kept = (kept + picked)[-queue:]


@with_labels
@pytest.mark.parametrize("queue", [0, 20])
def test_without_known_labels_value_and_gradients_are_exactly_zero(name, queue):
    loss = make_loss(name, queue=queue, stop_gradient=False)
    binary, partner = (x.requires_grad_() for x in make_inputs())
    for _ in range(3):
        value = loss(binary, partner, BatchLabels(exclude=torch.full((N, H, W), -1)))
        value.backward()
        assert value.item() == 0
    for tensor in (binary, partner, *loss.parameters()):
        assert (tensor.grad == 0).all()


@with_labels
def test_a_batch_of_one_label_has_no_negatives_and_is_zero(name):
    loss, (binary, partner) = make_loss(name), make_inputs()
    binary.requires_grad_()
    value = loss(binary, partner, BatchLabels(exclude=torch.ones(N, H, W).long()))
    value.backward()
    assert value.item() == 0
    assert (binary.grad == 0).all()


@with_labels
def test_unknown_samples_contribute_nothing(name, positions):
    """The features of unlabelled places change neither value nor other gradients."""
    labels, results = make_labels(), []
    unknown = (labels == IGNORED)[:, None]
    assert unknown.flatten(1).gather(1, positions).any()
    for noise in (0.0, 5.0):
        loss, (binary, partner) = make_loss(name), make_inputs()
        binary = (binary + noise * unknown).requires_grad_()
        value = loss(binary, partner, BatchLabels(exclude=labels))
        value.backward()
        assert (binary.grad[unknown.expand_as(binary)] == 0).all()
        results.append((value.detach(), binary.grad))
    torch.testing.assert_close(results[0], results[1])


@each_loss
def test_one_pixel_is_zero_and_every_parameter_has_a_gradient(name):
    """Distributed training waits for a gradient of each parameter."""
    loss = make_loss(name, pixels=1)
    features = (x[:1] for x in make_inputs())
    value = loss(*features)
    value.backward()
    assert value.item() == 0
    for parameter in loss.parameters():
        assert (parameter.grad == 0).all()


@each_loss
def test_training_raises_the_bound_and_every_parameter_learns(name, positions):
    loss, features = make_loss(name), make_inputs()
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.03)
    values = []
    for _ in range(40):
        value = loss(*features)
        optimizer.zero_grad()
        value.backward()
        for label, parameter in loss.named_parameters():
            assert parameter.grad.abs().sum() > 0, label
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0] - 0.1


@each_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_low_precision_features(name, dtype, positions):
    loss, (binary, partner) = make_loss(name), make_inputs()
    partner = partner.to(dtype)
    exact = loss(binary, partner.double()).item()
    loss = make_loss(name).float()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        value = loss(binary.to(dtype), partner)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact, rel=1e-4)
