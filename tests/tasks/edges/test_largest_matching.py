"""The largest matching against scipy's."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from tasks.edges.largest_matching import largest_matching


def columns_of(random: np.random.Generator, points: int, others: int) -> np.ndarray:
    """Neighbours at one offset: each of theirs beside one of ours at most."""
    numbers = np.full(max(points, others), -1)
    numbers[:others] = random.permutation(others)
    numbers = random.permutation(numbers)[:points]
    return np.where(random.random(points) < random.uniform(0.1, 1), numbers, -1)


def test_as_many_pairs_as_scipy_finds():
    random = np.random.default_rng(0)
    found = []
    for _ in range(400):
        points, others, count = (int(n) for n in random.integers(1, 14, 3))
        near = np.stack(
            [columns_of(random, points, others) for _ in range(count)], axis=1
        )
        partner = largest_matching(near, others)
        paired = np.flatnonzero(partner >= 0)
        assert len(set(partner[paired])) == len(paired)
        assert all(partner[k] in near[k] for k in paired)
        beside = np.zeros((points, others), np.uint8)
        rows, places = np.nonzero(near >= 0)
        beside[rows, near[rows, places]] = 1
        graph = csr_array(beside)
        pairs = maximum_bipartite_matching(graph) if graph.nnz else np.full(1, -1)
        assert len(paired) == (pairs >= 0).sum()
        found.append(len(paired) / min(points, others))
    assert 0.2 < np.mean(found) < 0.95


def test_a_chain_that_changes_from_end_to_end():
    """Point k is nearest to k and beside k + 1; point 0 is beside 1 alone."""
    count = 50
    near = np.stack([np.arange(count), np.arange(1, count + 1)], axis=1)
    near[0] = -1, 1
    partner = largest_matching(near, count + 1)
    assert partner.tolist() == list(range(1, count + 1))


def test_nobody_and_nothing():
    assert largest_matching(np.zeros((0, 3), int), 4).tolist() == []
    assert largest_matching(np.full((2, 3), -1), 0).tolist() == [-1, -1]
