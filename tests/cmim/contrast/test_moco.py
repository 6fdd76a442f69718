"""MoCo against loops over a deque, by hand, and over a resume."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cmim.contrast import BatchLabels, ContrastOptions, get_loss, layer_loss
from cmim.contrast.losses.moco import MocoLoss

A, C, D, TAU = 3, 5, 4, 0.5


def make_loss(queue: int = 20, momentum: float = 0.9, **options) -> MocoLoss:
    torch.manual_seed(0)
    options = {"projection": D, "temperature": TAU, "pixels": 2, **options}
    shared = ContrastOptions(queue=queue, **options)
    return get_loss(dict(name="moco", momentum=momentum))(C, C, shared).double()


def make_batch(step: int = 0, size: tuple[int, int] = (2, 3)):
    generator = torch.Generator().manual_seed(step)
    partner = torch.randn(A, C, *size, generator=generator, dtype=torch.float64)
    return torch.where(partner < 0, -1.0, 1.0).double().requires_grad_(), partner


def unit(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    z = x @ weight.T + bias
    return z / np.sqrt((z**2).sum(axis=1, keepdims=True))


def pixels_of(x: torch.Tensor, positions: torch.Tensor) -> np.ndarray:
    flat = x.detach().flatten(2).numpy()
    rows = enumerate(positions.tolist())
    return np.stack([flat[i, :, place] for i, places in rows for place in places])


@pytest.mark.parametrize("level", ["pixel", "image"])
@pytest.mark.parametrize("labelled", [False, True])
def test_equals_the_loops_while_the_projection_learns(level, labelled, monkeypatch):
    loss = make_loss(queue=7, level=level)
    optimizer = torch.optim.SGD(loss.project_query.parameters(), 0.3)
    query = [p.detach().numpy() for p in loss.project_query.parameters()]
    key = [p.copy() for p in query]
    past: list[tuple[np.ndarray, int]] = []
    for step in range(5):
        binary, partner = make_batch(step)
        places = 1 if level == "image" else 2
        size = 1 if level == "image" else 6
        generator = torch.Generator().manual_seed(step)
        positions = torch.rand(A, size, generator=generator).topk(places).indices
        monkeypatch.setattr(layer_loss, "sample_positions", lambda *_, p=positions: p)
        marks = torch.randint(-1, 2, (A, 1, 1), generator=generator)
        labels = marks.flatten().repeat_interleave(places).tolist()
        if not labelled:
            labels = [5] * len(labels)
        value = loss(binary, partner, BatchLabels(exclude=marks if labelled else None))
        key = [0.9 * k + 0.1 * q for k, q in zip(key, query, strict=True)]
        pair = [
            x.mean(dim=(2, 3), keepdim=True) if level == "image" else x
            for x in (binary, partner)
        ]
        queries = unit(pixels_of(pair[0], positions), *query)
        keys = unit(pixels_of(pair[1], positions), *key)
        total, counted = 0.0, 0
        for q, k, label in zip(queries, keys, labels, strict=True):
            if label == -1:
                continue
            counted += 1
            positive = math.exp(q @ k / TAU)
            negative = sum(
                math.exp(q @ row / TAU)
                for row, other in past
                if not labelled or (other != -1 and other != label)
            )
            total -= math.log(positive / (positive + negative))
        assert value.item() == pytest.approx(total / max(counted, 1), rel=1e-9)
        past = (past + list(zip(keys, labels, strict=True)))[-7:]
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        query = [p.detach().numpy().copy() for p in loss.project_query.parameters()]
    assert np.abs(query[0] - key[0]).max() > 1e-4


def test_value_by_hand():
    """Key and queue orthogonal to each other, tau 1: e / (e + 2)."""
    loss = make_loss(temperature=1.0, level="image", projection=C)
    for layer in (loss.project_query, loss.project_key):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    loss.queue.rows[:2] = torch.eye(C)[3:].double()
    loss.queue.filled[:2] = True
    x = torch.eye(C).double()[:A, :, None, None]
    assert loss(x, x).item() == pytest.approx(-math.log(math.e / (math.e + 2)))


def test_keys_get_no_gradient_and_the_query_does():
    loss = make_loss()
    loss(*make_batch())
    binary, partner = make_batch(1)
    partner.requires_grad_()
    loss(binary, partner).backward()
    assert partner.grad is None
    assert loss.project_key.weight.grad is None
    assert binary.grad.abs().sum() > 0
    assert loss.project_query.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("chunk", [1, 5, 4096])
def test_gradients_are_those_of_finite_differences(chunk):
    loss = make_loss(chunk=chunk, level="image")
    loss(*make_batch())
    loss.eval()
    binary, partner = make_batch(1)
    assert torch.autograd.gradcheck(lambda x: loss(x, partner), (binary,))


def test_first_step_has_no_negatives():
    binary, partner = make_batch()
    value = make_loss()(binary, partner)
    value.backward()
    assert value.item() == 0
    assert (binary.grad == 0).all()


def test_samples_of_unknown_label_give_exactly_zero():
    loss = make_loss()
    loss(*make_batch())
    binary, partner = make_batch(1)
    value = loss(binary, partner, BatchLabels(exclude=torch.full((A, 1, 1), -1)))
    value.backward()
    assert value.item() == 0
    assert (binary.grad == 0).all()


def test_length_of_features_does_not_matter_without_bias():
    loss = make_loss(level="image")
    loss(*make_batch())
    loss.eval()
    for layer in (loss.project_query, loss.project_key):
        torch.nn.init.zeros_(layer.bias)
    binary, partner = make_batch(1)
    torch.testing.assert_close(loss(3 * binary, 9 * partner), loss(binary, partner))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_other_precisions_are_close_to_float64(dtype):
    values = []
    for low in (False, True):
        loss = make_loss()
        if low:
            loss.float()
        for step in range(2):
            torch.manual_seed(step)
            binary, partner = (x.detach().to(dtype) for x in make_batch(step))
            if not low:
                binary, partner = binary.double(), partner.double()
            with torch.autocast("cpu", torch.bfloat16):
                value = loss(binary, partner)
        values.append(value)
    assert values[1].dtype == torch.float32
    assert values[1].item() == pytest.approx(values[0].item(), rel=1e-5)


def test_a_resumed_loss_goes_on_in_the_same_bits():
    def train(loss: MocoLoss, steps: range) -> list[float]:
        optimizer = torch.optim.SGD(loss.project_query.parameters(), 0.3)
        values = []
        for step in steps:
            torch.manual_seed(step)
            value = loss(*make_batch(step))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            values.append(value.item())
        return values

    loss, resumed = make_loss(), make_loss()
    train(loss, range(3))
    resumed.load_state_dict({k: v.clone() for k, v in loss.state_dict().items()})
    later = [train(part, range(3, 6)) for part in (loss, resumed, make_loss())]
    assert later[0] == later[1]
    assert later[0] != later[2]


def test_evaluation_changes_nothing():
    loss = make_loss()
    loss(*make_batch())
    torch.nn.init.normal_(loss.project_query.weight)
    before = {k: v.clone() for k, v in loss.state_dict().items()}
    loss.eval()(*make_batch(1))
    assert all(torch.equal(v, before[k]) for k, v in loss.state_dict().items())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(queue=0), "give queue=65536 .model.queue in a config"),
        (dict(momentum=1.5), r"momentum must be in \[0, 1\], got 1.5"),
        (dict(gather=False), "does not use gather"),
        (dict(stop_gradient=False), "does not use stop_gradient"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        make_loss(**options)


def test_unequal_widths_are_refused():
    with pytest.raises(ValueError, match="6 and 5 channels"):
        get_loss("moco")(5, 6, ContrastOptions(queue=4))
