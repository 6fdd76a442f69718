"""NPID, CRD and CMIM's released loss against loops, by hand, and over a resume."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bank_cases import CLASSES, NAMES, ROWS, TAU, A, C, D, N, make_batch, make_loss

from cmim.contrast import BatchLabels, ContrastOptions, bank_loss, get_loss
from cmim.contrast.bank_loss import BankLoss


class NaiveBankLoss:
    """The paper's algorithm in loops, with the negatives that it is given."""

    def __init__(self, loss: BankLoss, name: str) -> None:
        self.name = name
        layers = [loss.project_binary, getattr(loss, "project_partner", None)]
        layers[1] = layers[1] or layers[0]
        self.layers = [
            (m.weight.detach().numpy(), m.bias.detach().numpy()) for m in layers
        ]
        self.banks = [loss.partner_bank.rows.numpy().copy()]
        if name != "npid":
            self.banks.append(loss.binary_bank.rows.numpy().copy())
        self.constants: list[float] = []

    def __call__(self, binary, partner, labels, picked: list[list[int]]) -> float:
        sides = []
        for x, (weight, bias) in zip((binary, partner), self.layers, strict=True):
            pooled = x.detach().numpy().mean(axis=(2, 3))
            z = pooled @ weight.T + bias
            sides.append(z / np.sqrt((z**2).sum(axis=1, keepdims=True)))
        indices, total = labels.indices.tolist(), 0.0
        for way, bank in enumerate(self.banks):
            positive, negative = [], []
            for z, own, places in zip(sides[way], indices, picked, strict=True):
                positive.append(math.exp(z @ bank[own] / TAU))
                negative.append([math.exp(z @ bank[j] / TAU) for j in places])
            if len(self.constants) == way:
                means = [
                    (p + N * sum(n) / len(n)) / (1 + N)
                    for p, n in zip(positive, negative, strict=True)
                ]
                self.constants.append(ROWS * sum(means) / A)
            constant = self.constants[way]
            for p, n in zip(positive, negative, strict=True):
                ratio = p / constant
                total -= math.log(ratio / (ratio + N / ROWS))
                lost = [math.log(N / ROWS / (e / constant + N / ROWS)) for e in n]
                total -= N * sum(lost) / len(lost)
        for bank, z in zip(self.banks, sides[::-1], strict=False):
            mixed = 0.5 * bank[indices] + 0.5 * z
            bank[indices] = mixed / np.sqrt((mixed**2).sum(axis=1, keepdims=True))
        return total / A


def others_of(name: str, labels: BatchLabels, rows: list[int], met: set) -> list:
    """Of the rows that are drawn for all, those that are negatives of each anchor."""
    classes = [int(CLASSES[j]) if j in met else -1 for j in rows]
    return [
        [
            j
            for j, c in zip(rows, classes, strict=True)
            if (j != i if name == "npid" else c != int(CLASSES[i]))
        ]
        for i in labels.indices.tolist()
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shared", [True, False])
def test_equals_the_loops_step_after_step(name, shared, monkeypatch):
    loss = make_loss(name, shared)
    naive, met = NaiveBankLoss(loss, name), set()
    for step in range(4):
        binary, partner, labels = make_batch(step)
        met |= set(labels.indices.tolist())
        generator = torch.Generator().manual_seed(50 + step)
        if shared:
            rows = torch.randint(ROWS, (N,), generator=generator)
            monkeypatch.setattr(bank_loss.torch, "randint", lambda *a, r=rows, **k: r)
            picked = others_of(name, labels, rows.tolist(), met)
            assert any(len(places) < N for places in picked)
        else:
            everyone = others_of(name, labels, list(range(ROWS)), set(range(ROWS)))
            draws = [
                [
                    places[k]
                    for k in torch.randint(len(places), (N,), generator=generator)
                ]
                for places in everyone
            ]
            drawn = torch.tensor(draws)
            monkeypatch.setattr(bank_loss, "draw_from_others", lambda *a, d=drawn: d)
            picked = drawn.tolist()
        value = loss(binary, partner, labels)
        value.backward()
        monkeypatch.undo()
        expected = naive(binary, partner, labels, picked)
        assert value.item() == pytest.approx(expected, rel=1e-8)
    found = loss.log_normalizer[: len(naive.constants)].exp()
    np.testing.assert_allclose(found.numpy(), naive.constants, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_value_by_hand_where_everything_is_alike(name):
    """Equal rows and anchors: every ratio is 1/M, so h = 1/(1 + N)."""
    loss = make_loss(name)
    for layer in {loss.project_binary, getattr(loss, "project_partner", None)} - {None}:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.ones_(layer.bias)
    loss.partner_bank.rows.fill_(D**-0.5)
    if loss.binary_bank is not None:
        loss.binary_bank.rows.fill_(D**-0.5)
    one_way = math.log(1 + N) + N * math.log((1 + N) / N)
    expected = one_way * (1 if name == "npid" else 2)
    assert loss(*make_batch()).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shared", [True, False])
def test_gradients_are_those_of_finite_differences(name, shared):
    loss = make_loss(name, shared)
    loss(*make_batch(7))
    loss.eval()
    binary, partner, labels = make_batch(8)

    def value(x):
        torch.manual_seed(3)
        return loss(x, partner, labels)

    assert torch.autograd.gradcheck(value, (binary,), atol=1e-6)


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_shared_and_own_draws_have_the_same_mean(name):
    """Both estimate the same sum over all other rows."""
    means = []
    for shared in (True, False):
        loss = make_loss(name, shared)
        for step in range(8):
            loss(*make_batch(step))
        loss.eval()
        loss.log_normalizer.fill_(3.0)
        values = torch.stack([loss(*make_batch(9)).detach() for _ in range(800)])
        means.append((values.mean().item(), values.std().item() / 800**0.5))
    (ours, error), (published, other) = means
    assert abs(ours - published) < 4 * math.hypot(error, other)


@pytest.mark.parametrize("name", NAMES)
def test_order_of_images_and_length_of_features_do_not_matter(name):
    loss = make_loss(name).eval()
    for layer in {loss.project_binary, getattr(loss, "project_partner", None)} - {None}:
        torch.nn.init.zeros_(layer.bias)
    binary, partner, labels = make_batch()
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    mixed = BatchLabels(indices=labels.indices[order], classes=labels.classes[order])
    values = []
    for b, p, known in [
        (binary, partner, labels),
        (binary[order], partner[order], mixed),
        (7 * binary, 0.1 * partner, labels),
    ]:
        torch.manual_seed(1)
        values.append(loss(b, p, known))
    torch.testing.assert_close(values, [values[0]] * 3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_other_precisions_are_close_to_float64(name, dtype):
    exact, loss = make_loss(name), make_loss(name).float()
    binary, partner, labels = make_batch()
    low = binary.detach().to(dtype).requires_grad_(), partner.to(dtype)
    values = []
    for part, pair in ((exact, (binary, low[1].double())), (loss, low)):
        torch.manual_seed(2)
        with torch.autocast("cpu", torch.bfloat16):
            values.append(part(*pair, labels))
        values[-1].backward()
    assert values[1].dtype == torch.float32
    # Features are averaged over their places in their own precision.
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    assert values[1].item() == pytest.approx(values[0].item(), rel=tolerance)
    scale = binary.grad.abs().max().item()
    torch.testing.assert_close(
        low[0].grad.double() / scale, binary.grad / scale, rtol=0, atol=3 * tolerance
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chunk", [1, 5, 12, 4096])
def test_pieces_do_not_matter(name, chunk):
    values = []
    for size in (chunk, 4096):
        torch.manual_seed(0)
        options = ContrastOptions(level="image", projection=D, chunk=size)
        entry = dict(name=name, rows=ROWS, negatives=N)
        loss = get_loss(entry)(C, C, options).double()
        values.append(loss(*make_batch()))
    torch.testing.assert_close(*values)
