"""Distillation distances: loops, hand values, invariances, degenerate inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cmim.functional.distillation import (
    attention_distance,
    attention_matching_distance,
    hint_distance,
    softened_divergence,
)
from cmim.functional.soft_cross_entropy import soft_cross_entropy

ATTENTION = {
    "attention": attention_distance,
    "matching": attention_matching_distance,
}
FEATURE = {"hint": hint_distance, **ATTENTION}
every_distance = pytest.mark.parametrize("distance", FEATURE.values(), ids=FEATURE)


def random(shape: tuple[int, ...], seed: int, dtype=torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return values.to(dtype)


def naive_divergence(ours: Tensor, theirs: Tensor, t: float) -> float:
    a = ours.movedim(1, -1).reshape(-1, ours.shape[1]).tolist()
    b = theirs.movedim(1, -1).reshape(-1, ours.shape[1]).tolist()
    total = 0.0
    for row, other in zip(a, b, strict=True):
        q = [math.exp(v / t) / sum(math.exp(u / t) for u in row) for v in row]
        p = [math.exp(v / t) / sum(math.exp(u / t) for u in other) for v in other]
        total += sum(x * math.log(x / y) for x, y in zip(p, q, strict=True))
    return t * t * total / len(a)


@pytest.mark.parametrize("shape", [(3, 4), (2, 5, 3, 4)], ids=str)
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergence_equals_the_loop(shape, temperature):
    ours, theirs = random(shape, 0), random(shape, 1)
    found = softened_divergence(ours, theirs, temperature).item()
    assert found == pytest.approx(naive_divergence(ours, theirs, temperature))


def test_divergence_by_hand():
    ours = 2 * torch.tensor([[1.0, 3.0]]).log()  # 1/4, 3/4 at T = 2
    theirs = 2 * torch.tensor([[1.0, 1.0]]).log()
    expected = 4 * (math.log(2) + math.log(2 / 3)) / 2
    assert softened_divergence(ours, theirs, 2.0).item() == pytest.approx(expected)


def test_divergence_is_zero_at_the_teachers_answer_and_above_elsewhere():
    theirs = random((4, 6), 1)
    shifted = (theirs + 7).requires_grad_()  # the same distributions
    loss = softened_divergence(shifted, theirs)
    loss.backward()
    assert abs(loss.item()) < 1e-12
    assert shifted.grad.abs().max() < 1e-12
    assert softened_divergence(random((4, 6), 0), theirs) > 0.1


def test_gradient_at_temperature_one_is_that_of_the_cross_entropy():
    ours, theirs = random((4, 6), 0).requires_grad_(), random((4, 6), 1)
    (first,) = torch.autograd.grad(softened_divergence(ours, theirs, 1.0), ours)
    (second,) = torch.autograd.grad(soft_cross_entropy(ours, theirs), ours)
    torch.testing.assert_close(first, second)


def test_high_temperatures_compare_centred_logits():
    ours, theirs = random((4, 6), 0).requires_grad_(), random((4, 6), 1)
    (found,) = torch.autograd.grad(softened_divergence(ours, theirs, 1e4), ours)
    centred = [x - x.mean(1, keepdim=True) for x in (ours, theirs)]
    expected = (centred[0] - centred[1]) / 6 / 4
    torch.testing.assert_close(found, expected.detach(), rtol=1e-2, atol=1e-5)


def naive_hint(ours: np.ndarray, theirs: np.ndarray) -> float:
    pairs = zip(ours.ravel(), theirs.ravel(), strict=True)
    return sum((a - b) ** 2 for a, b in pairs) / ours.size


def euclidean(q: list[float]) -> float:
    return math.sqrt(sum(v * v for v in q))


def naive_attention(ours: np.ndarray, theirs: np.ndarray, norm=euclidean) -> float:
    total, (count, _, height, width) = 0.0, ours.shape
    for a, b in zip(ours, theirs, strict=True):
        maps = []
        for x in (a, b):
            q = [np.mean(x[:, i, j] ** 2) for i in range(height) for j in range(width)]
            maps.append(np.array(q) / norm(q))
        total += float(((maps[0] - maps[1]) ** 2).sum())
    return total / (count * height * width)


def test_distances_equal_their_loops():
    ours, theirs = random((2, 3, 4, 5), 0), random((2, 3, 4, 5), 1)
    arrays = ours.numpy(), theirs.numpy()
    assert hint_distance(ours, theirs).item() == pytest.approx(naive_hint(*arrays))
    found = attention_distance(ours, theirs).item()
    assert found == pytest.approx(naive_attention(*arrays))
    found = attention_matching_distance(ours, theirs).item()
    assert found == pytest.approx(naive_attention(*arrays, norm=max))


def test_attention_by_hand():
    # Attention (9, 16) / |.| against (1, 0).
    ours = torch.tensor([[[[3.0, 4.0]]]])
    theirs = torch.tensor([[[[-2.0, 0.0]], [[2.0, 0.0]]]])
    norm = math.sqrt(81 + 256)
    expected = ((9 / norm - 1) ** 2 + (16 / norm) ** 2) / 2
    assert attention_distance(ours, theirs).item() == pytest.approx(expected)


@pytest.mark.parametrize("distance", ATTENTION.values(), ids=ATTENTION)
def test_attention_ignores_factors_signs_and_the_number_of_channels(distance):
    ours, theirs = random((2, 3, 4, 5), 0), random((2, 7, 4, 5), 1)
    loss = distance(ours, theirs)
    torch.testing.assert_close(distance(-5 * ours, theirs), loss)
    torch.testing.assert_close(distance(ours, theirs.repeat(1, 2, 1, 1)), loss)
    torch.testing.assert_close(distance(ours.flip(2), theirs.flip(2)), loss)


def test_hints_need_equal_channels():
    ours, theirs = random((2, 3, 4, 5), 0), random((2, 7, 4, 5), 1)
    with pytest.raises(
        ValueError, match=r"3 channels and a reference of 7: .*attention"
    ):
        hint_distance(ours, theirs)


@every_distance
def test_larger_maps_are_averaged(distance):
    small, large = random((2, 3, 2, 2), 0), random((2, 3, 4, 6), 1)
    blocks = large.view(2, 3, 2, 2, 2, 3).mean((3, 5))
    torch.testing.assert_close(distance(small, large), distance(small, blocks))
    torch.testing.assert_close(distance(large, small), distance(blocks, small))


@every_distance
def test_equal_maps_and_maps_of_zeros(distance):
    ours, zeros = random((2, 3, 4, 5), 0).requires_grad_(), torch.zeros(2, 3, 4, 5)
    loss = distance(ours, ours.detach())
    loss.backward()
    assert loss == 0
    assert (ours.grad == 0).all()
    zeros.requires_grad_()
    distance(zeros, ours.float()).backward()
    assert zeros.grad.isfinite().all()


@pytest.mark.parametrize("loss", [softened_divergence, *FEATURE.values()])
def test_only_the_student_gets_a_gradient(loss):
    ours, theirs = random((2, 3, 4, 5), 0), random((2, 3, 4, 5), 1)
    ours.requires_grad_(), theirs.requires_grad_()
    loss(ours, theirs).backward()
    assert ours.grad.abs().sum() > 0
    assert theirs.grad is None
    small = ours[:1, :2, :2, :2].detach().requires_grad_()
    fixed = theirs[:1, :2, :2, :2].detach()
    assert torch.autograd.gradcheck(lambda x: loss(x, fixed), small)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("loss", [softened_divergence, *FEATURE.values()])
def test_lower_precision_is_computed_in_float32(loss, dtype):
    ours, theirs = random((2, 3, 4, 5), 0, dtype), random((2, 3, 4, 5), 1, dtype)
    found = loss(ours, theirs)
    assert found.dtype == torch.float32
    exact = loss(ours.double(), theirs.double())
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-6)


def test_wrong_arguments_are_said():
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        softened_divergence(torch.zeros(1, 2), torch.zeros(1, 2), 0)
    with pytest.raises(ValueError, match="the same question"):
        softened_divergence(torch.zeros(1, 2), torch.zeros(1, 3))
