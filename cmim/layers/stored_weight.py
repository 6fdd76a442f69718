"""Binary weights without latent ones: one bit each, and what the bits stand for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from cmim.functional.bits import pack_bits, unpack_bits
from cmim.layers.binary_weights import BinaryWeightLayer
from cmim.methods import WeightBinarizer

# A table of values is kept for so many codes at most: a column for each combination.
MOST_CODES = 8


@dataclass(frozen=True)
class StoredBits:
    """The binary weights of a layer as they are stored.

    Attributes:
        shape: ``(O, I, kh, kw)``.
        bits: uint8 ``(T, ceil(O I kh kw / 8))``: codes, bit 1 for +1.
        scales: ``(T, O)``, or ``(T + 1, O)`` where the last is an offset, whose codes
            are +1 everywhere.
        values: ``(1, 2^T)`` or ``(O, 2^T)``, or None: the weight that a combination of
            codes stands for, where rounding makes it another one than the sum of
            scales times codes. Code t is bit t of the column's number.
    """

    shape: tuple[int, int, int, int]
    bits: Tensor
    scales: Tensor
    values: Tensor | None = None

    @property
    def offset(self) -> bool:
        """The last term is an offset."""
        return len(self.scales) > len(self.bits)

    def code_flags(self) -> Tensor:
        """Codes as int8 zeros and ones, ``(T, O, I, kh, kw)``."""
        count = self.shape[0] * self.shape[1] * self.shape[2] * self.shape[3]
        return torch.stack([unpack_bits(b, count).view(self.shape) for b in self.bits])

    def terms(self) -> list[tuple[Tensor, Tensor]]:
        """Pairs (scale ``(O, 1, 1, 1)``, codes in {-1, +1})."""
        codes = list(2 * self.code_flags().to(self.scales) - 1)
        if self.offset:
            codes.append(torch.ones_like(codes[0]))
        scales = self.scales[..., None, None, None]
        return list(zip(scales, codes, strict=True))

    def weight(self) -> Tensor:
        """The binary weights ``(O, I, kh, kw)``, to the last bit."""
        if self.values is None:
            parts = [scale * codes for scale, codes in self.terms()]
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            return total
        columns = _columns(self.code_flags()).flatten(1)
        rows = self.values.expand(self.shape[0], -1)
        return rows.gather(1, columns).view(self.shape)


def _columns(flags: Tensor) -> Tensor:
    """The number that the codes of each weight are, ``(O, I, kh, kw)``."""
    places = torch.arange(len(flags), device=flags.device).view(-1, 1, 1, 1, 1)
    return (flags.long() << places).sum(0)


@torch.no_grad()
def store_bits(layer: BinaryWeightLayer) -> StoredBits:
    """The binary weights of a layer as bits, from which they return to the last bit.

    Args:
        layer: In evaluation mode.

    Raises:
        ValueError: Its weights are no function of its codes.

    Examples:
        >>> from cmim.layers import BinaryLinear
        >>> layer = BinaryLinear(2, 1, method="bireal").eval()
        >>> _ = layer.weight.data.copy_(torch.tensor([[0.5, -0.25]]))
        >>> stored = store_bits(layer)
        >>> stored.bits.tolist(), stored.scales.tolist(), stored.weight().tolist()
        ([[128]], [[0.375]], [[[[0.375]], [[-0.375]]]])
    """
    latent = layer.filters()
    wanted = layer.weight_binarizer(latent)
    terms, coded = layer.terms(), layer.code_terms()
    stored = StoredBits(
        shape=(latent.shape[0], latent.shape[1], latent.shape[2], latent.shape[3]),
        bits=torch.stack([pack_bits((codes > 0).contiguous()) for _, codes in coded]),
        scales=torch.stack(
            [scale.expand(len(latent), 1, 1, 1).flatten() for scale, _ in terms]
        ).to(wanted.dtype),
    )
    if not torch.equal(stored.weight(), wanted):
        stored = replace(stored, values=_table(stored, wanted))
    return stored


def _table(stored: StoredBits, wanted: Tensor) -> Tensor:
    """The value of each combination of codes, for each filter or for all alike."""
    count = len(stored.bits)
    if count > MOST_CODES:
        raise ValueError(f"its weights are rounded sums of {count} codes")
    columns = _columns(stored.code_flags()).flatten(1)
    # Combinations that do not occur are those of no weight: 0.
    values = wanted.new_zeros(len(wanted), 2**count)
    values.scatter_(1, columns, wanted.flatten(1))
    if not torch.equal(values.gather(1, columns), wanted.flatten(1)):
        raise ValueError("weights of equal codes differ within a filter")
    occurs = torch.zeros_like(values, dtype=torch.bool).scatter_(1, columns, True)
    shared = torch.where(occurs, values, -torch.inf).amax(0, keepdim=True)
    shared = torch.where(shared.isinf(), 0, shared)
    alike = torch.where(occurs, values == shared, True).all()
    return shared if alike else values


class StoredWeight(WeightBinarizer):
    """Stands where a binarizer of latent weights stood, which are binary already.

    Args:
        stored: The binary weights.

    Shape:
        weights ``(O, I, kh, kw)``, those that are stored, to the same tensor.
    """

    bits: Tensor
    scales: Tensor

    def __init__(self, stored: StoredBits) -> None:
        super().__init__()
        self.shape = stored.shape
        self.offset = stored.offset
        # Beside the layer's weights they say nothing new: no part of its state.
        self.register_buffer("bits", stored.bits, persistent=False)
        self.register_buffer("scales", stored.scales, persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        return weight

    def terms(self, weight: Tensor) -> list[tuple[Tensor, Tensor]]:
        return StoredBits(self.shape, self.bits, self.scales).terms()


@torch.no_grad()
def use_stored_bits(layer: BinaryWeightLayer, stored: StoredBits) -> None:
    """Give a layer binary weights in place of its latent ones and their binarizer.

    Args:
        layer: Of the same shape.
        stored: Its new weights.

    Examples:
        >>> from cmim.layers import BinaryLinear
        >>> one, other = (BinaryLinear(64, 8, method="abc_net").eval() for _ in "ab")
        >>> use_stored_bits(other, store_bits(one))
        >>> torch.equal(one.binary_weight(), other.binary_weight())
        True
    """
    layer.weight = nn.Parameter(torch.empty_like(layer.weight), requires_grad=False)
    layer.filters().copy_(stored.weight())
    layer.weight_binarizer = StoredWeight(stored)
    layer.eval()
