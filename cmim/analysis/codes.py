"""What binary activations carry: balance, entropy and redundancy of their channels."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

# Entropy in bits below which a channel counts as dead: one level in 99.91 % of places.
DEAD = 0.01
# Whole numbers up to it are exact in float32.
_EXACT = 2**24


class CodeSummary(NamedTuple):
    """Statistics of the codes of one layer.

    Attributes:
        high_share: p(+1) of every channel, ``(C,)`` float64.
        entropy: Bits a code of every channel carries by itself, ``(C,)``, in [0, 1].
        mean_entropy: Mean of it over channels, bits.
        dead_share: Share of channels below 0.01 bits, in [0, 1].
        mean_pairwise_information: Mutual information of two channels at the same place,
            mean over all pairs of different channels, bits, in [0, 1]; 0 with a single
            channel.
        places: Values seen of each channel.
    """

    high_share: Tensor
    entropy: Tensor
    mean_entropy: float
    dead_share: float
    mean_pairwise_information: float
    places: int


class CodeStatistics:
    r"""Balance, entropy and redundancy of binary activations, batch by batch.

    .. math::
        H_c = -p_c \log_2 p_c - (1 - p_c) \log_2 (1 - p_c), \qquad
        I_{cd} = H_c + H_d - H_{cd}

    Counts are exact integers: the same figures whatever the batch size. All 2x2 tables
    come from one matrix product of the codes. An activation's codes are a function of
    it, so that H is the information they keep of it (Shannon); high information
    between channels means that they repeat each other. Independent channels have about
    :math:`0.72 / n` bits of it for n places, from the finite sample.

    Examples:
        The second channel repeats the first one, inverted; the third never changes.

        >>> high = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]]).bool()
        >>> statistics = CodeStatistics()
        >>> statistics.update(high.view(1, 3, 2, 2))
        >>> found = statistics.summary()
        >>> found.high_share.tolist(), found.entropy.tolist()
        ([0.5, 0.5, 1.0], [1.0, 1.0, 0.0])
        >>> round(found.mean_pairwise_information, 4), round(found.dead_share, 4)
        (0.3333, 0.3333)
    """

    def __init__(self) -> None:
        self._count = 0
        # How often two channels are high together; the diagonal: each by itself.
        self._together: Tensor | None = None

    def update(self, high: Tensor) -> None:
        """Count a batch.

        Args:
            high: True where the code is the higher of its two levels, boolean; for
                levels {-1, +1} and {0, 1} that is ``codes > 0``.

        Shape:
            ``(N, C, H, W)``; ``(N, C)`` and ``(N, C, L)`` too.

        Raises:
            TypeError: The tensor is not boolean: which of two values is the higher one,
                and whether there are but two, is for the caller to know.
            ValueError: Fewer than two axes, or other channels than before.
        """
        if high.dtype != torch.bool:
            raise TypeError(
                f"update() got {high.dtype}; give a boolean tensor that is True at the "
                "higher level: codes > 0 for the levels {-1, +1} and {0, 1}"
            )
        if high.ndim < 2:
            raise ValueError(
                f"codes have the shape {tuple(high.shape)}; give (N, C, H, W)"
            )
        channels = high.shape[1]
        if self._together is not None and len(self._together) != channels:
            raise ValueError(
                f"codes have {channels} channels, those before "
                f"{len(self._together)}; use a CodeStatistics for each layer"
            )
        rows = high.transpose(0, 1).flatten(1)
        exact = torch.float32 if rows.shape[1] <= _EXACT else torch.float64
        rows = rows.to(exact)
        together = (rows @ rows.T).to(torch.int64)
        self._count += rows.shape[1]
        self._together = together + (0 if self._together is None else self._together)

    def summary(self) -> CodeSummary:
        """Figures of all batches so far.

        Raises:
            ValueError: No codes were counted.
        """
        if self._together is None or self._count == 0:
            raise ValueError("no codes were counted; call update() first")
        both = self._together.cpu().double() / self._count
        high = both.diagonal().clone()
        entropy = _entropy(high, 1 - high)
        first, second = high[:, None], high[None]
        joint = _entropy(both, first - both, second - both, 1 - first - second + both)
        # Rounding leaves traces below 0.
        shared = (entropy[:, None] + entropy[None] - joint).clamp(min=0)
        pairs = len(high) * (len(high) - 1)
        between = shared.sum() - shared.diagonal().sum()
        return CodeSummary(
            high_share=high,
            entropy=entropy,
            mean_entropy=entropy.mean().item(),
            dead_share=(entropy < DEAD).double().mean().item(),
            mean_pairwise_information=between.item() / pairs if pairs else 0.0,
            places=self._count,
        )


def _entropy(*shares: Tensor) -> Tensor:
    """Bits, element by element, of the shares of what can happen."""
    clean = torch.stack([share.clamp(min=0) for share in shares])
    return -torch.xlogy(clean, clean).sum(0) / math.log(2) + 0.0


def flip_ratio(before: Tensor, after: Tensor) -> Tensor:
    """Share of signs that changed, as between two steps of the training.

    ``sign(0) = sign(-0.0) = +1``. NaN in either gives NaN.

    Args:
        before: Signs or latent weights, or boolean.
        after: The same later, of the same shape.

    Returns:
        A tensor with one float32 value in [0, 1], on the device of ``before``.

    Raises:
        ValueError: Shapes differ or are empty.
        TypeError: An unsigned type, whose zeros would count as +1.

    Examples:
        >>> before, after = torch.tensor([[-1.0, 1.0, 0.0, 2.0], [1.0, 3.0, -0.0, 1.0]])
        >>> flip_ratio(before, after)
        tensor(0.2500)
    """
    if before.shape != after.shape or before.numel() == 0:
        raise ValueError(
            f"signs have the shapes {tuple(before.shape)} and {tuple(after.shape)}; "
            "give two of one shape that is not empty"
        )
    changed = (_positive(before) != _positive(after)).sum() / before.numel()
    unknown = before.isnan().any() | after.isnan().any()
    return torch.where(unknown, torch.nan, changed)


def _positive(signs: Tensor) -> Tensor:
    if signs.dtype == torch.uint8:
        raise TypeError("uint8 has no signs; give codes > 0, which is boolean")
    return signs if signs.dtype == torch.bool else signs >= 0
