"""Label pictures of any numbering or colouring, read exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.datasets.errors import DataError
from tasks.datasets.label_files import Palettes, read_colours, read_numbers
from tasks.datasets.label_values import Value, codes_of, coloured
from tasks.datasets.name_patterns import some
from tasks.datasets.void_readings import TwoReadings, ValueCounts

VOID = 255
_UNKNOWN = -1


class LabelFormat:
    """Which values of label pictures stand for which class.

    Values are numbers (grey pictures of 1, 2, 4, 8 or 16 bits, and pictures with a
    palette, whose numbers count and not their colours), or RGB triples (coloured
    pictures, with a palette or without). A value that is neither a class nor void is an
    error, and so are palettes that differ from file to file.

    Args:
        classes: Class names, at most 255.
        values: Value of each class, or several: a number, a list of numbers, a
            ``range``, a colour, a list of colours; 0, 1, 2, ... when None. Lists of
            three numbers everywhere are colours, see
            :func:`tasks.datasets.label_values.coloured`.
        void: Values of pixels without a class; when None 255, for colours black, if
            no class has it.
        ignore_palettes: Numbers of pictures with a palette count also where files
            give them different colours.

    Raises:
        ValueError: Numbers of classes and values differ, a value stands for two
            things, numbers and colours are mixed, or two classes have one name.

    Examples:
        >>> LabelFormat(["floor", "wall"], [1, 2], [0]).decode(np.array([[0, 1, 2]]))
        array([[255,   0,   1]], dtype=uint8)
        >>> red, black = [255, 0, 0], [0, 0, 0]
        >>> LabelFormat(["car"], [red]).decode(np.array([[red, black]], np.uint8))
        array([[  0, 255]], dtype=uint8)
    """

    def __init__(
        self,
        classes: Sequence[str],
        values: Sequence[Value] | None = None,
        void: Sequence[Value] | None = None,
        ignore_palettes: bool = False,
    ) -> None:
        values = _listed("label_values", range(len(classes)), values)
        twice = [name for name, count in Counter(classes).items() if count > 1]
        if twice:
            raise ValueError(
                f"the class names {some(twice)} stand twice in metainfo; figures are "
                "told apart by them: name each class once"
            )
        if not 0 < len(classes) <= VOID or len(values) != len(classes):
            raise ValueError(
                f"{len(classes)} classes and {len(values)} label_values; expected 1 to "
                f"{VOID} classes and one value for each"
            )
        self.palettes = Palettes(ignore_palettes)
        self.void_is_default = void is None
        void = _listed("void_values", (), void)
        self.coloured = coloured(values, void)
        self.classes = list(classes)
        groups = [codes_of(v, self.coloured) for v in values]
        self.codes = [code for group in groups for code in group]
        if self.void_is_default:
            usual: Value = [0, 0, 0] if self.coloured else VOID
            taken = codes_of(usual, self.coloured)[0] in self.codes
            void = [] if taken else [usual]
        self.void_codes = [c for v in void for c in codes_of(v, self.coloured)]
        every = [*self.codes, *self.void_codes]
        if len(set(every)) < len(every):
            raise ValueError(
                f"a value stands for two things: label_values {values}, void_values "
                f"{void}; either all values are whole numbers or all colours"
            )
        meaning = [k for k, group in enumerate(groups) for _ in group]
        meaning += [VOID] * len(self.void_codes)
        order = np.argsort(every)
        self._sorted = np.array(every)[order]
        self._meaning = np.array(meaning, np.int16)[order]
        # Numbers of up to 16 bits are looked up in a table, several times faster.
        self._table = np.full(0 if self.coloured else 1 << 16, _UNKNOWN, np.int16)
        if not self.coloured:
            self._table[every] = meaning

    def decode(self, stored: NDArray) -> NDArray[np.uint8]:
        """Values as they are stored to classes.

        Args:
            stored: ``(H, W)`` integers, for colours ``(H, W, 3)`` uint8 RGB.

        Returns:
            ``(H, W)``, classes from 0, 255 for void.

        Raises:
            DataError: Values that stand for nothing.
        """
        codes = stored
        if self.coloured:
            codes = stored.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
            last = len(self._sorted) - 1
            places = np.searchsorted(self._sorted, codes).clip(max=last)
            fits = self._sorted[places] == codes
            meaning = np.where(fits, self._meaning[places], _UNKNOWN)
        else:
            meaning = self._table[codes]
        if meaning.min() == _UNKNOWN:
            raise self._complaint(codes, meaning == _UNKNOWN)
        return meaning.astype(np.uint8)

    def read(self, path: str | Path) -> NDArray[np.uint8]:
        """Read a label picture; see :meth:`decode`.

        Raises:
            DataError: Missing, damaged, lossy, of another kind, or with values that
                stand for nothing; the message names the file.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"labels '{path}' do not exist; the data set is incomplete")
        try:
            stored = (
                read_colours(path)
                if self.coloured
                else read_numbers(path, self.palettes)
            )
            return self.decode(stored)
        except TwoReadings as error:
            said = f"labels '{path}': {error}"
            raise TwoReadings(said, error.pixels, str(path)) from error
        except DataError as error:
            said = str(error).removeprefix(f"'{path}' ")
            raise DataError(f"labels '{path}': {said}") from error

    def count_values(self, path: str | Path) -> dict[int, int] | None:
        """Pixels of each value of a file; None where another thing is wrong with it.

        Args:
            path: Label picture of classes 0, 1, 2, ...
        """
        try:
            classes, pixels = np.unique(self.read(path), return_counts=True)
        except TwoReadings as error:
            return error.pixels
        except DataError:
            return None
        return dict(zip(classes.tolist(), pixels.tolist(), strict=True))

    def _complaint(self, codes: NDArray, wrong: NDArray) -> DataError:
        strange = np.unique(codes[wrong])
        if self.coloured:
            shown = [
                str([int(c) >> 16, int(c) >> 8 & 255, int(c) & 255]) for c in strange
            ]
            return DataError(
                f"the colours {some(shown)} are neither a class (label_values) nor "
                "void (void_values); add them, or save the file without smoothing"
            )
        found, count = np.unique(codes), len(self.classes)
        text = (
            f"has the values {some([str(c) for c in strange])}, which stand for "
            f"nothing; accepted are {_ranges(self.codes)} (the {count} classes)"
            f" and {_ranges(self.void_codes) or 'no other'} (void)"
        )
        if self.codes == list(range(count)) and strange.tolist() == [count]:
            values, pixels = np.unique(codes, return_counts=True)
            counts = dict(zip(values.tolist(), pixels.tolist(), strict=True))
            here = ValueCounts.of(self)
            here.add(counts)
            return TwoReadings(f"{text}. {here.readings()}", counts)
        return DataError(
            f"{text}. The file has {_ranges(found.tolist())}: name the value of each "
            "class in label_values (several in a list or a range, such as instances: "
            "range(1000, 2000)), values of no class in void_values"
        )


def _listed(option: str, default: Sequence[Value], given: Any) -> list:
    if given is None:
        return list(default)
    if isinstance(given, (str, dict)) or not isinstance(given, Iterable):
        raise ValueError(f"{option} must be a list, one value each; got {given!r}")
    return list(given)


def _ranges(values: list[int]) -> str:
    """Numbers in few words: ``0 to 3, 7``."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return some([str(a) if a == b else f"{a} to {b}" for a, b in runs])
