"""Data on which surrogate gradients are compared with NumPy, in float64."""

from __future__ import annotations

import numpy as np
import pytest

EDGES = (0.0, 0.5, 1.0 - 2**-53, 1.0, 1.0 + 2**-52, 2.5)


@pytest.fixture
def weights() -> np.ndarray:
    """Four filters of 18: both zeros, +-1 and its neighbours, one magnitude far out."""
    values = np.random.default_rng(0).normal(scale=0.7, size=(4, 2, 3, 3))
    edges = np.array([*EDGES, *(-np.array(EDGES))])
    values[0].reshape(-1)[: len(edges)] = edges
    values[3] *= 50
    return values


@pytest.fixture
def activations() -> np.ndarray:
    """``(3, 4, 3, 3)``: both zeros, 1/2, +-1 and its neighbours in every sample."""
    values = np.random.default_rng(1).normal(size=(3, 4, 3, 3))
    edges = np.array([*EDGES, *(-np.array(EDGES))])
    values.reshape(3, -1)[:, : len(edges)] = edges
    return values


@pytest.fixture
def upstream():
    """Gradient that comes back, of any shape."""
    return lambda shape: np.random.default_rng(2).normal(size=shape)
