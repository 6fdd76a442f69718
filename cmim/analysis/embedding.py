"""Features as points of a plane: t-SNE."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.optional_packages import require_packages

# Neighbours that a point weighs, of about its own surroundings.
PERPLEXITY = 30.0


def check_tsne() -> None:
    """Refuse early where scikit-learn is missing.

    Raises:
        ImportError: Saying what to install.
    """
    require_packages("t-SNE", "sklearn", instead="leave the picture out with --no-tsne")


def tsne(features: Tensor, seed: int = 0) -> Tensor:
    """Place samples in a plane so that near ones in feature space stay near.

    Distances between far groups, sizes of groups and the axes mean nothing.

    Args:
        features: ``(M, C)``, ``M >= 3``.
        seed: Seed of the optimisation.

    Returns:
        ``(M, 2)`` float32.

    Raises:
        ImportError: scikit-learn is missing.

    References:
        van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 2008.
        https://www.jmlr.org/papers/v9/vandermaaten08a.html
    """
    check_tsne()
    from sklearn.manifold import TSNE

    # Neighbours of every point must exist.
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    mapping = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return torch.from_numpy(mapping.fit_transform(features.float().numpy()))
