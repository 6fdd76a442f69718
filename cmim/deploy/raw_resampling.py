"""ATen operators that make maps smaller or larger, as steps of a raw program."""

from __future__ import annotations

from collections.abc import Sequence

from cmim.deploy.raw_recorder import Recorder, Value, pair_of, refuse_unless


def _pool_options(x: Value, out: Sequence[int], kernel, stride, padding, dilation):
    """Padding at both ends, so that a rounded-up size needs no rule of its own."""
    kernel, begin, dilation = pair_of(kernel), pair_of(padding), pair_of(dilation)
    stride = pair_of(stride) if stride else kernel
    reach = [
        (size - 1) * s + d * (k - 1) + 1
        for size, s, d, k in zip(out[1:], stride, dilation, kernel, strict=True)
    ]
    end = [max(0, r - n - b) for r, n, b in zip(reach, x.shape[1:], begin, strict=True)]
    return dict(kernel=kernel, stride=stride, dilation=dilation, begin=begin, end=end)


def max_pool(r, x, kernel, stride=(), padding=0, dilation=1, ceil_mode=False):
    options = _pool_options(x, r.shape, kernel, stride, padding, dilation)
    return r.add("max_pool", [x], options)


def avg_pool(
    r, x, kernel, stride=(), padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
):  # fmt: skip
    # ATen counts the padding by default, and never what a rounded-up size adds.
    counted = count_include_pad and any(pair_of(padding))
    refuse_unless(not counted and not divisor_override, "mean that counts padding")
    options = _pool_options(x, r.shape, kernel, stride, padding, 1)
    return r.add("avg_pool", [x], options)


def adaptive_pool(r, x, size):
    """Windows of one size where they are, else rows first and then columns.

    Window i of m over n pixels goes from ``floor(i n / m)`` to ``ceil((i + 1) n / m)``.
    """
    height, width = x.shape[1:]
    rows, columns = r.shape[1:]
    if rows == columns == 1:
        return r.add("mean", [x], dict(axes=[1, 2]))
    if height % rows == width % columns == 0:
        return avg_pool(r, x, [height // rows, width // columns])
    x = _means_along(r, x, 1, rows)
    return _means_along(r, x, 2, columns)


def _means_along(r: Recorder, x: Value, axis: int, count: int) -> Value:
    """The mean of each of so many windows along an axis."""
    size, parts = x.shape[axis], []
    if size == count:
        return x
    for k in range(count):
        start, stop = k * size // count, -(-(k + 1) * size // count)
        r.shape = _with_size(x, axis, stop - start)
        part = r.add("slice", [x], dict(axis=axis, start=start, stop=stop, step=1))
        r.shape = _with_size(x, axis, 1)
        parts.append(r.add("mean", [part], dict(axes=[axis])))
    r.shape = _with_size(x, axis, count)
    return r.add("concat", parts, dict(axis=axis))


def _with_size(x: Value, axis: int, size: int) -> tuple[int, ...]:
    return (*x.shape[:axis], size, *x.shape[axis + 1 :])


def resize(r, x, size, align_corners, factors=None, columns=None):
    """Bilinear, by the sizes alone.

    Torch keeps a given factor, with which a rounded size is not the whole map.
    """
    refuse_unless(not align_corners, "resizing with align_corners=True")
    given = [factors, columns] if isinstance(factors, float) else factors
    exact = not given or all(
        factor is None or n * factor == m
        for n, factor, m in zip(x.shape[1:], given, r.shape[1:], strict=True)
    )
    refuse_unless(exact, f"resizing of {x.shape[1:]} pixels by {given}: give the size")
    return r.add("resize", [x]) if r.shape != x.shape else x
