"""LCR's loss: explicit matrices, singular values, hand values, degenerate features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cmim.functional.retention import lipschitz_distance, retention_norm

SHAPES = [(3, 8, 6), (5, 4, 3), (4, 4, 3), (7, 2, 2)]


def features(seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(2, *shape, generator=generator, dtype=torch.float64).to(dtype)
        for shape in SHAPES
    ]


def naive_pool(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """Means of whole blocks; the sizes of these tests divide."""
    n, c, h, w = x.shape
    return x.reshape(n, c, height, h // height, width, w // width).mean((3, 5))


def naive_norms(first: Tensor, second: Tensor, iterations: int) -> list[float]:
    """The released algorithm with its matrices, sample by sample."""
    height, width = second.shape[2:]
    if first.shape[2] > height and first.shape[3] % width == 0:
        first = torch.from_numpy(naive_pool(first.numpy(), height, width))
    norms = []
    for a, b in zip(first.numpy(), second.numpy(), strict=True):
        a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
        retention = a @ b.T / a.shape[1]
        gram = retention @ retention.T
        v = np.ones(len(a))
        for _ in range(iterations):
            product = gram @ v
            v = product / np.linalg.norm(product)
        norms.append(np.sqrt(np.linalg.norm(product)))
    return norms


@pytest.mark.parametrize("iterations", [1, 2, 5])
@pytest.mark.parametrize("k", [0, 1])
def test_equals_the_released_algorithm_with_its_matrices(k, iterations):
    maps = features(0)
    found = retention_norm(maps[k], maps[k + 1], iterations)
    assert found.tolist() == pytest.approx(naive_norms(*maps[k : k + 2], iterations))


def test_many_iterations_give_the_singular_value_and_one_gives_more():
    _, first, second, _ = features(1)
    retention = first.flatten(2) @ second.flatten(2).mT / 12
    exact = torch.linalg.matrix_norm(retention, ord=2)
    torch.testing.assert_close(retention_norm(first, second, 200), exact)
    # |R R^T 1| <= sigma^2 |1|, and the vector of ones is as long as sqrt(C).
    assert (retention_norm(first, second) <= exact * 5**0.25 + 1e-12).all()


def test_distance_is_the_weighted_sum_over_pairs():
    ours, theirs = features(2), features(3)
    expected = 0.0
    for k in range(3):
        a = naive_norms_any(ours[k], ours[k + 1])
        b = naive_norms_any(theirs[k], theirs[k + 1])
        expected += np.mean((a - b) ** 2) / 2 ** (3 - k)
    assert lipschitz_distance(ours, theirs).item() == pytest.approx(expected)


def naive_norms_any(first: Tensor, second: Tensor) -> np.ndarray:
    if first.shape[3] % second.shape[3]:  # 3 columns to 2 overlap
        first = torch.nn.functional.adaptive_avg_pool2d(first, second.shape[2:])
    return np.array(naive_norms(first, second, 1))


def test_equal_features_are_at_distance_zero_without_a_gradient():
    ours = [x.requires_grad_() for x in features(4)]
    loss = lipschitz_distance(ours, features(4))
    loss.backward()
    assert loss == 0
    assert all((x.grad == 0).all() for x in ours)


def test_pixels_may_be_reordered_and_maps_scaled():
    _, first, second, _ = features(5)
    norm = retention_norm(first, second)
    flipped = retention_norm(first.flip(2, 3), second.flip(2, 3))
    torch.testing.assert_close(flipped, norm)
    torch.testing.assert_close(retention_norm(3 * first, -second), 3 * norm)
    order = [2, 0, 1, 3]
    torch.testing.assert_close(retention_norm(first, second[:, order]), norm)


def test_a_larger_second_map_is_averaged_too():
    small, large = features(6)[1], features(6)[0]
    swapped = retention_norm(small, large)
    pooled = torch.from_numpy(naive_pool(large.numpy(), 4, 3))
    torch.testing.assert_close(swapped, retention_norm(small, pooled))


def test_only_the_student_gets_a_gradient():
    ours = [x.requires_grad_() for x in features(7)]
    theirs = [x.requires_grad_() for x in features(8)]
    lipschitz_distance(ours, theirs).backward()
    assert all(x.grad.abs().sum() > 0 for x in ours)
    assert all(x.grad is None for x in theirs)
    small = [x[:1, :2, :2, :2].detach().requires_grad_() for x in ours]
    fixed = [x[:1, :2, :2, :2].detach() for x in theirs]
    assert torch.autograd.gradcheck(
        lambda *maps: lipschitz_distance(maps, fixed, 2), small
    )


@pytest.mark.parametrize("iterations", [1, 3])
def test_features_of_zeros_give_zero_and_no_nan(iterations):
    zeros = [torch.zeros(2, *s, requires_grad=True) for s in SHAPES]
    theirs = features(9, torch.float32)
    loss = lipschitz_distance(zeros, theirs, iterations)
    loss.backward()
    assert loss > 0
    assert retention_norm(zeros[0], zeros[1]).tolist() == pytest.approx([0, 0])
    assert all(x.grad.isfinite().all() for x in zeros)


@pytest.mark.parametrize(
    ("student", "teacher", "iterations", "said"),
    [(4, 3, 1, "got 4 and 3"), (1, 1, 1, "two or more"), (4, 4, 0, "at least 1")],
)
def test_what_cannot_be_compared_is_refused(student, teacher, iterations, said):
    maps = features(0)
    with pytest.raises(ValueError, match=said):
        lipschitz_distance(maps[:student], maps[:teacher], iterations)


def test_float32_is_close():
    exact = lipschitz_distance(features(2), features(3), 5)
    single = lipschitz_distance(
        features(2, torch.float32), features(3, torch.float32), 5
    )
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-7)
