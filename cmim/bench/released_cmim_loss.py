"""CMIM's contrastive loss the way its released code writes it, to compare costs with.

Every anchor fetches its own negatives, one row each, from a bank of all images.

References: Shang et al., Network Binarization via Contrastive Learning, ECCV 2022.
https://github.com/42Shawn/CMIM
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ReleasedCMIMLoss(nn.Module):
    """Projections, two banks and NCE, each step of it as published.

    Args:
        features: Length of the features of both networks.
        projection: Length of the projections.
        rows: Images in the banks.
        negatives: Negatives of each anchor.
        temperature: tau > 0.
    """

    def __init__(
        self,
        features: int,
        projection: int,
        rows: int,
        negatives: int,
        temperature: float = 0.1,
    ) -> None:
        super().__init__()
        self.rows, self.share = rows, negatives / rows
        self.temperature = temperature
        self.layers = nn.ModuleList(nn.Linear(features, projection) for _ in range(2))
        bound = (3 / projection) ** 0.5
        for side in (0, 1):
            bank = torch.rand(rows, projection).mul_(2 * bound).sub_(bound)
            self.register_buffer(f"bank{side}", bank)
        self.normalizers: list[float] = []

    def forward(
        self, partner: Tensor, binary: Tensor, indices: Tensor, sample: Tensor
    ) -> Tensor:
        """The loss of a batch.

        Args:
            partner: ``(A, features)``.
            binary: ``(A, features)``.
            indices: ``(A,)`` rows of the images.
            sample: ``(A, 1 + negatives)`` rows of their positives and negatives.
        """
        pair = [
            F.normalize(layer(x), dim=1)
            for layer, x in zip(self.layers, (partner, binary), strict=True)
        ]
        banks = [self.get_buffer("bank0"), self.get_buffer("bank1")]
        scores = [self._scores(pair[0], banks[1], sample)]
        scores.append(self._scores(pair[1], banks[0], sample))
        if not self.normalizers:
            self.normalizers = [s.mean().item() * self.rows for s in scores]
        with torch.no_grad():
            for bank, vectors in zip(banks, pair, strict=True):
                rows = bank.index_select(0, indices).mul_(0.5).add_(0.5 * vectors)
                bank.index_copy_(0, indices, F.normalize(rows, dim=1))
        losses = [
            self._criterion(s.div(z))
            for s, z in zip(scores, self.normalizers, strict=True)
        ]
        return losses[0] + losses[1]

    def _scores(self, anchors: Tensor, bank: Tensor, sample: Tensor) -> Tensor:
        rows = bank.index_select(0, sample.view(-1)).view(*sample.shape, -1)
        return torch.bmm(rows, anchors[:, :, None]).div(self.temperature).exp()

    def _criterion(self, ratios: Tensor) -> Tensor:
        positive, negative = ratios[:, 0], ratios[:, 1:]
        gained = positive.div(positive + (self.share + 1e-7)).log_()
        constant = negative.clone().fill_(self.share)
        lost = constant.div(negative + (self.share + 1e-7)).log_()
        return -(gained.sum() + lost.sum()) / len(ratios)


def draw_as_released(
    rng: np.random.RandomState,
    others: list[np.ndarray],
    classes: np.ndarray,
    indices: np.ndarray,
    negatives: int,
) -> Tensor:
    """``(A, 1 + negatives)`` rows: each image, then images of other classes.

    Args:
        rng: NumPy's older generator, as released; it shuffles all rows each time.
        others: Per class, the images of all others.
        classes: ``(A,)`` classes of the batch.
        indices: ``(A,)`` images of the batch.
        negatives: Drawn for each image, without replacement where there are enough.
    """
    drawn = [
        rng.choice(others[c], negatives, replace=negatives > len(others[c]))
        for c in classes
    ]
    return torch.from_numpy(np.concatenate([indices[:, None], np.stack(drawn)], axis=1))
