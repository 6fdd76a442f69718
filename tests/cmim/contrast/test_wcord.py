"""WCoRD: the critic against loops, the transport plan against a linear program."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from cmim.contrast import BatchLabels, ContrastOptions, get_loss
from cmim.contrast.pairs import IGNORED
from cmim.functional.transport import sinkhorn_plan

N, C, H, W = 3, 4, 2, 3


def make_loss(global_weight: float = 1.0, local_weight: float = 1.0, **options):
    torch.manual_seed(0)
    own = dict(global_weight=global_weight, local_weight=local_weight, hidden=5)
    shared = {"projection": 3, "pixels": H * W, **options}
    build = get_loss({"name": "wcord", **own})
    return build(C, C, ContrastOptions(**shared)).double().eval()


def make_inputs() -> tuple[Tensor, Tensor, BatchLabels]:
    generator = torch.Generator().manual_seed(1)
    binary = torch.randn(N, C, H, W, generator=generator, dtype=torch.float64)
    partner = torch.randn(N, C, H, W, generator=generator, dtype=torch.float64)
    labels = torch.randint(-1, 3, (N, H, W), generator=generator)
    return binary, partner, BatchLabels(exclude=labels)


def project(layer, features: Tensor) -> Tensor:
    pixels = features.permute(0, 2, 3, 1).reshape(-1, C)
    return F.normalize(pixels @ layer.weight.T + layer.bias, dim=1).detach()


def critic(loss, x: Tensor, y: Tensor) -> float:
    hidden = (loss.inner.weight @ torch.cat([x, y]) + loss.inner.bias).clamp(min=0)
    return (loss.outer.weight[0] @ hidden).item()


def naive_global(loss, binary: Tensor, partner: Tensor, labels: list | None) -> float:
    xs = project(loss.project_binary, binary)
    ys = project(loss.project_partner, partner)
    gaps, known = 0.0, 0
    for i, x in enumerate(xs):
        if labels is not None and labels[i] == IGNORED:
            continue
        known += 1
        others = [
            critic(loss, x, y)
            for j, y in enumerate(ys)
            if (j != i if labels is None else labels[j] not in (IGNORED, labels[i]))
        ]
        if others:
            gaps += critic(loss, x, ys[i]) - sum(others) / len(others)
    return -gaps / known


def test_both_terms_by_hand():
    """Two orthogonal pixels, equal on both sides, and a critic of one hidden unit."""
    entry = dict(name="wcord", hidden=1, epsilon=0.5, iterations=50)
    loss = get_loss(entry)(2, 2, ContrastOptions(projection=2, pixels=2)).double()
    for layer in (loss.project_binary, loss.project_partner):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    # Normalized: f(x, y) = max(0, (x_1 + y_1 - 1) / sqrt 2), 1 / sqrt 2 or 0.
    wanted = torch.tensor([[3.0, 0.0, 3.0, 0.0]])
    loss.inner.parametrizations.weight.original.data.copy_(wanted)
    torch.nn.init.constant_(loss.inner.bias, -math.sqrt(0.5))
    torch.nn.init.constant_(loss.outer.parametrizations.weight.original, 2.0)
    for layer in (loss.inner, loss.outer):
        for _ in range(3):  # power iterations, of a matrix of rank 1
            assert layer.weight is not None
    features = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]], dtype=torch.float64)
    value = loss.eval()(features, features).item()
    # Scores gain 1 / sqrt 2 for one of two anchors; of the mass 1 / (1 + e^(1 / eps))
    # travels the distance 1.
    assert value == pytest.approx(-math.sqrt(0.5) / 2 + 1 / (1 + math.exp(2)))


@pytest.mark.parametrize("chunk", [4, 1000])
@pytest.mark.parametrize("labelled", [False, True])
def test_global_term_equals_the_loops(labelled, chunk):
    loss, (binary, partner, labels) = make_loss(1.0, 0.0, chunk=chunk), make_inputs()
    flat = labels.exclude.flatten().tolist() if labelled else None
    expected = naive_global(loss, binary, partner, flat)
    value = loss(binary, partner, labels if labelled else None)
    assert value.item() == pytest.approx(expected, rel=1e-9)


def naive_plan(cost: Tensor, epsilon: float, rounds: int) -> Tensor:
    """The textbook's products, of a cost in which nothing underflows."""
    kernel = (-cost / epsilon).exp()
    v = torch.ones(cost.shape[1], dtype=cost.dtype)
    for _ in range(rounds):
        u = 1 / cost.shape[0] / (kernel @ v)
        v = 1 / cost.shape[1] / (kernel.T @ u)
    return u[:, None] * kernel * v


def test_plan_equals_the_textbook():
    cost = torch.rand(5, 7, dtype=torch.float64)
    for rounds in (1, 3, 50):
        torch.testing.assert_close(
            sinkhorn_plan(cost, 0.3, rounds), naive_plan(cost, 0.3, rounds)
        )


@pytest.mark.full
def test_plan_of_little_regularization_is_the_best_matching():
    generator = torch.Generator().manual_seed(4)
    cost = torch.rand(9, 9, generator=generator, dtype=torch.float64)
    rows, columns = linear_sum_assignment(cost.numpy())
    best = cost[rows, columns].mean().item()
    plan = sinkhorn_plan(cost, 0.002, 20000)
    assert (plan * cost).sum().item() == pytest.approx(best, rel=1e-3)
    assert plan.sum().item() == pytest.approx(1)


def test_rows_and_columns_left_out_change_nothing():
    cost = torch.rand(6, 5, dtype=torch.float64)
    rows = torch.tensor([1, 0, 1, 1, 0, 1]).bool()
    columns = torch.tensor([1, 1, 0, 1, 0]).bool()
    plan = sinkhorn_plan(cost, 0.1, 15, rows, columns)
    smaller = sinkhorn_plan(cost[rows][:, columns], 0.1, 15)
    torch.testing.assert_close(plan[rows][:, columns], smaller)
    assert plan.sum().item() == pytest.approx(1)
    assert (plan[~rows] == 0).all()
    assert (plan[:, ~columns] == 0).all()
    nobody = torch.zeros(5).bool()
    assert (sinkhorn_plan(cost, 0.1, 15, rows, nobody) == 0).all()


def test_local_term_is_the_cost_of_the_plan():
    loss, (binary, partner, _) = make_loss(0.0, 2.0), make_inputs()
    xs = project(loss.project_binary, binary)
    ys = project(loss.project_partner, partner)
    cost = 1 - xs @ ys.T
    expected = 2 * (naive_plan(cost, loss.epsilon, loss.iterations) * cost).sum()
    torch.testing.assert_close(loss(binary, partner), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_precision_of_the_plan(dtype):
    generator = torch.Generator().manual_seed(5)
    cost = torch.rand(8, 8, generator=generator).to(dtype)
    exact = sinkhorn_plan(cost.double(), 0.1, 20)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    plan = sinkhorn_plan(cost, 0.1, 20)
    assert plan.dtype == dtype
    torch.testing.assert_close(plan.double(), exact, rtol=0, atol=tolerance)


def test_the_order_of_images_does_not_matter():
    loss, (binary, partner, labels) = make_loss(), make_inputs()
    order = [2, 0, 1]
    torch.testing.assert_close(
        loss(binary[order], partner[order], BatchLabels(exclude=labels.exclude[order])),
        loss(binary, partner, labels),
    )


def test_samples_of_unknown_label_have_no_part():
    loss, (binary, partner, labels) = make_loss(), make_inputs()
    expected = loss(binary, partner, labels)
    unknown = (labels.exclude == IGNORED)[:, None]
    assert unknown.any()
    value = loss(
        torch.where(unknown, 9 - binary, binary),
        torch.where(unknown, 3 * partner + 1, partner),
        labels,
    )
    torch.testing.assert_close(value, expected)


def test_the_critic_is_1_lipschitz_however_it_is_trained():
    """So the global term is at most the sphere's diameter."""
    loss, (binary, partner, _) = make_loss(1.0, 0.0), make_inputs()
    loss.train()
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        value = loss(binary, partner)
        value.backward()
        optimizer.step()
    assert -2 <= value.item() < -0.3
    for layer in (loss.inner, loss.outer):
        norm = torch.linalg.matrix_norm(layer.weight.detach(), 2)
        assert norm.item() == pytest.approx(1, rel=0.02)


def test_a_constant_added_to_the_critic_does_not_matter():
    """By hand: a critic whose inner bias is far positive is linear, so x cancels."""
    loss, (binary, partner, _) = make_loss(1.0, 0.0), make_inputs()
    values = []
    for bias in (50.0, 80.0):
        torch.nn.init.constant_(loss.inner.bias, bias)
        values.append(loss(binary, partner))
    torch.testing.assert_close(values[0], values[1])
    # Linear critics see only the means, and those of all y but one average to it.
    torch.testing.assert_close(
        values[0], torch.zeros_like(values[0]), atol=1e-9, rtol=0
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(global_weight=-1.0), "must not be negative"),
        (dict(global_weight=0.0, local_weight=0.0), "nor both 0"),
        (dict(epsilon=0.0), "epsilon must be positive"),
        (dict(iterations=0), "at least 1"),
    ],
)
def test_options_out_of_range(wrong, message):
    with pytest.raises(ValueError, match=message):
        get_loss({"name": "wcord", **wrong})(C, C, ContrastOptions())
