"""Random draws of albumentations' transforms, each of its own."""

from __future__ import annotations

from collections.abc import Sequence

import albumentations as A
import numpy as np


def seed_apart(compose: A.Compose, words: Sequence[int]) -> None:
    """Seed every transform of a pipeline differently, by one sample's seed.

    ``Compose.set_random_seed`` gives all transforms the same seed, so that the first
    draw of each is the same number: whether a picture is mirrored, how bright it
    becomes and at which height it is cut out would all follow from its zoom.

    Args:
        compose: The pipeline.
        words: Integers that name the sample.

    Examples:
        >>> compose = A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)])
        >>> seed_apart(compose, [0, 1])
        >>> draws = [transform.py_random.random() for transform in compose.transforms]
        >>> draws[0] != draws[1]
        True
    """
    seeds = np.random.SeedSequence(words).generate_state(len(compose.transforms) + 1)
    compose.set_random_seed(int(seeds[0]))
    for transform, seed in zip(compose.transforms, seeds[1:], strict=True):
        transform.set_random_seed(int(seed))
