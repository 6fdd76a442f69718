"""Zeros outside of the image as TensorFlow's "SAME" has them.

"SAME" divides what a convolution needs by its own rule, which is not torch's where the
stride is 2: an image of even height gets its zeros below. Appending a row moves them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SamePlan:
    """A convolution along one axis as a part of one with padding "SAME".

    Attributes:
        extra: Pixels to append first; no output that is kept reads them.
        first: The first output to keep.
        count: How many to keep.
        made: How many there are.
    """

    extra: int
    first: int
    count: int
    made: int

    @property
    def is_plain(self) -> bool:
        """Padding "SAME" gives it as it is."""
        return not self.extra and self.count == self.made


def same_plan(
    size: int, kernel: int, stride: int, dilation: int, begin: int, end: int
) -> SamePlan | None:
    """How padding "SAME" gives what zeros at both ends give, or None.

    Args:
        size: Pixels along the axis.
        kernel: Taps of the kernel.
        stride: In pixels.
        dilation: In pixels.
        begin: Zeros in front.
        end: Zeros behind.

    Examples:
        >>> same_plan(7, 3, 2, 1, 1, 1)
        SamePlan(extra=0, first=0, count=4, made=4)
        >>> same_plan(8, 3, 2, 1, 1, 1)
        SamePlan(extra=1, first=0, count=4, made=5)
        >>> same_plan(8, 1, 1, 1, 1, 1) is None
        True
    """
    reach, count = _reach_and_count(size, kernel, stride, dilation, begin + end)
    last = (count - 1) * stride - begin + reach - 1
    for extra in range(stride):
        made = -(-(size + extra) // stride)
        zeros = max((made - 1) * stride + reach - size - extra, 0)
        first, rest = divmod(zeros // 2 - begin, stride)
        reads_extra = extra > 0 and last >= size
        if not rest and first >= 0 and first + count <= made and not reads_extra:
            return SamePlan(extra, first, count, made)
    return None


def needed_end(size: int, kernel: int, stride: int, dilation: int, begin: int,
               end: int) -> int:  # fmt: skip
    """Zeros behind an image that some output reads.

    The engine's converter takes padding in front of a convolution for "SAME" where both
    ends have alike, although with a stride of 2 "SAME" has one less in front. Without
    what nothing reads it is right.

    Args:
        size: Pixels along the axis.
        kernel: Taps of the kernel.
        stride: In pixels.
        dilation: In pixels.
        begin: Zeros in front.
        end: Zeros behind.

    Examples:
        >>> needed_end(8, 3, 2, 1, 1, 1), needed_end(7, 3, 2, 1, 1, 1)
        (0, 1)
    """
    reach, count = _reach_and_count(size, kernel, stride, dilation, begin + end)
    return max((count - 1) * stride + reach - begin - size, 0)


def _reach_and_count(
    size: int, kernel: int, stride: int, dilation: int, zeros: int
) -> tuple[int, int]:
    """Pixels that a kernel spans, and outputs along the axis."""
    reach = dilation * (kernel - 1) + 1
    return reach, (size + zeros - reach) // stride + 1
