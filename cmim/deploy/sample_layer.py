"""A binary layer to be timed."""

from __future__ import annotations

import numpy as np

from cmim.deploy.binary_layer import BinaryLayer, SignStep, SignTerm


def sample_layer(channels: int) -> BinaryLayer:
    """A 3x3 layer of random signs with thresholds at 0.

    The signs are random so that no two filters are equal: exports compute equal filters
    once, and such a layer would be timed as faster than the processor can be.

    Args:
        channels: Of the input and of the output.

    Examples:
        >>> sample_layer(8).shape
        (8, 8, 3, 3)
    """
    bits = np.random.default_rng(0).integers(0, 2, (channels, channels, 3, 3))
    step = SignStep(np.zeros(1, np.float32), -1.0, 1.0)
    term = SignTerm(np.ones(channels, np.float32), (2 * bits - 1).astype(np.int8))
    return BinaryLayer("sample", (step,), (term,), (1, 1), (1, 1), (1, 1))
