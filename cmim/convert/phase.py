"""What a converted layer computes in training, on its way to a binary one."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """What a layer computes in training; in evaluation it is always binary.

    Attributes:
        LATENT: The full-precision layer of the latent weights.
        REAL_WEIGHTS: Binary activations, latent weights.
        BINARY: Binary activations and weights.
    """

    LATENT = "latent"
    REAL_WEIGHTS = "real_weights"
    BINARY = "binary"
