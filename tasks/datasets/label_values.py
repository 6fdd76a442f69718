"""What a config may write for the values of a class: one, several, a range, colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Value = int | range | Sequence[int] | Sequence[Sequence[int]]

_LARGEST = (1 << 16) - 1


def coloured(values: Sequence[Value], void: Sequence[Value]) -> bool:
    """Whether values are colours and not numbers.

    They are where every one is a list of three numbers, or a list of such lists. One
    number or range anywhere, also in ``void``, says that all are numbers.

    Args:
        values: Of the classes.
        void: Of no class.

    Examples:
        >>> coloured([[128, 64, 128], [0, 0, 142]], [])
        True
        >>> coloured([[1, 2, 3], [4, 5, 6]], [255]), coloured([0, [1, 2]], [])
        (False, False)
    """
    every = [*values, *void]
    return bool(every) and all(_looks_coloured(value) for value in every)


def codes_of(value: Value, as_colour: bool) -> list[int]:
    """The numbers that stand for a value; a colour's is ``R * 65536 + G * 256 + B``.

    Args:
        value: Of one class, or of no class.
        as_colour: Whether it holds colours.

    Raises:
        ValueError: Of another kind, empty, or out of range.

    Examples:
        >>> codes_of(range(3, 6), False), codes_of([0, 1, 0], True)
        ([3, 4, 5], [256])
    """
    if as_colour:
        triples: Any = [value] if _is_triple(value) else value
        fits = _is_list(triples) and len(triples) > 0 and all(map(_is_triple, triples))
        if fits and all(0 <= level <= 255 for triple in triples for level in triple):
            return [r << 16 | g << 8 | b for r, g, b in triples]
    else:
        numbers: Any = value if isinstance(value, range) or _is_list(value) else [value]
        fits = len(numbers) > 0 and all(map(_is_number, numbers))
        if fits and min(numbers) >= 0 and max(numbers) <= _LARGEST:
            return list(numbers)
    raise ValueError(
        f"label value {value!r}: expected "
        + (
            "[R, G, B] of 0 to 255, or a list of them"
            if as_colour
            else "a number, 0 to 65535, a list of numbers or a range"
        )
        + "; either all values are whole numbers or all colours. Lists of three "
        "numbers everywhere are colours; a number in void_values=[255] says they are "
        "numbers"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _is_triple(value: Any) -> bool:
    return _is_list(value) and len(value) == 3 and all(map(_is_number, value))


def _looks_coloured(value: Any) -> bool:
    if isinstance(value, range) or not _is_list(value):
        return False
    # Mistakes inside a list of three are told as mistakes of colours.
    return len(value) == 3 or (bool(value) and all(map(_is_triple, value)))
