"""Eight truth values in one byte, in any shape and on any device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Multiplied by it, the eight 0/1 bytes of a word meet in its highest byte, and a byte
# is spread over the highest bits of eight; no two terms fall on one bit.
_SPREAD = 0x8040201008040201 - 2**64
_ONE_EACH = 0x0101010101010101


def pack_bits(flags: Tensor) -> Tensor:
    """Eight flags a byte.

    Args:
        flags: Contiguous bool, int8 or uint8 tensor of 0 and 1, any shape.

    Returns:
        ``(ceil(numel / 8),)`` uint8.

    Examples:
        >>> pack_bits(torch.tensor([1, 0, 0, 0, 0, 0, 0, 1, 1], dtype=torch.uint8))
        tensor([129, 128], dtype=torch.uint8)
    """
    flat = flags.flatten().view(torch.uint8)
    flat = F.pad(flat, (0, -flat.numel() % 8)) if flat.numel() % 8 else flat
    words = flat.view(torch.int64) * _SPREAD
    return words.bitwise_right_shift_(56).to(torch.uint8)


def unpack_bits(packed: Tensor, count: int) -> Tensor:
    """What :func:`pack_bits` packed, as int8 zeros and ones, ``(count,)``.

    Args:
        packed: Its result.
        count: Number of flags.

    Examples:
        >>> unpack_bits(torch.tensor([129, 128], dtype=torch.uint8), 9).tolist()
        [1, 0, 0, 0, 0, 0, 0, 1, 1]
    """
    words = packed.to(torch.int64).mul_(_SPREAD)
    words.bitwise_right_shift_(7).bitwise_and_(_ONE_EACH)
    return words.view(torch.int8)[:count]
