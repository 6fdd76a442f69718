"""Label pictures of any numbering or colouring, read exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.datasets.errors import DataError
from tasks.datasets.name_patterns import some

VOID = 255
LOSSY = ("JPEG", "MPO", "JPEG2000")
_UNKNOWN = -1

Value = int | Sequence[int]


class LabelFormat:
    """Which values of label pictures stand for which class.

    Values are numbers (grey pictures of 1, 8 or 16 bits, and pictures with a palette,
    whose numbers count and not their colours), or RGB triples (coloured pictures, with
    a palette or without). A value that is neither a class nor void is an error.

    Args:
        classes: Class names, at most 255.
        values: Value of each class; 0, 1, 2, ... when None.
        void: Values of pixels without a class; when None 255, for colours black, if
            no class has it.

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
        first = values[0]
        self.coloured = isinstance(first, Sequence) and not isinstance(first, str)
        self.void_is_default = void is None
        self.classes = list(classes)
        self.codes = [self._code(v) for v in values]
        usual: Value = [0, 0, 0] if self.coloured else VOID
        default = [] if self._code(usual) in self.codes else [usual]
        void = _listed("void_values", default, void)
        self.void_codes = [self._code(v) for v in void]
        every = [*self.codes, *self.void_codes]
        if len(set(every)) < len(every):
            raise ValueError(
                f"a value stands for two things: label_values {values}, void_values "
                f"{void}"
            )
        meaning = [*range(len(classes)), *([VOID] * len(self.void_codes))]
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
            raise DataError(self._complaint(codes, meaning == _UNKNOWN))
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
            stored = _read_colours(path) if self.coloured else self._read_numbers(path)
            return self.decode(stored)
        except DataError as error:
            raise DataError(f"labels '{path}': {error}") from error

    def _read_numbers(self, path: Path) -> NDArray:
        numbers = _read_few_bits(path)
        if numbers is None:
            numbers = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if numbers is None:
            raise DataError("the file is damaged, it cannot be decoded; get it again")
        if numbers.ndim != 2:
            seen = _colours(_read_colours(path))
            raise DataError(
                "this is a coloured picture, expected one channel of class numbers. If "
                "its colours stand for classes, name the colour of each class: "
                "label_values=[[R, G, B], ...], and those of no class: void_values="
                f"[[R, G, B], ...]. It has the colours {some(seen)}"
            )
        if numbers.dtype not in (np.uint8, np.uint16):
            raise DataError(
                f"values are {numbers.dtype}, expected whole numbers of 8 or 16 bits"
            )
        return numbers

    def _code(self, value: Value) -> int:
        levels = [value] if isinstance(value, int) else value
        if isinstance(levels, Sequence) and all(isinstance(x, int) for x in levels):
            most = 255 if self.coloured else (1 << 16) - 1
            fits = len(levels) == (3 if self.coloured else 1)
            fits = fits and isinstance(value, int) != self.coloured
            if fits and min(levels) >= 0 and max(levels) <= most:
                return sum(x << 8 * place for place, x in enumerate(reversed(levels)))
        raise ValueError(
            f"label value {value!r}: expected "
            + ("[R, G, B] of 0 to 255" if self.coloured else "a number, 0 to 65535")
            + "; either all values are whole numbers or all colours"
        )

    def _complaint(self, codes: NDArray, wrong: NDArray) -> str:
        strange = np.unique(codes[wrong])
        if self.coloured:
            shown = [
                str([int(c) >> 16, int(c) >> 8 & 255, int(c) & 255]) for c in strange
            ]
            return (
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
            return (
                f"{text}. If 0 is void and the classes are 1 to {count}: "
                f"label_values=list(range(1, {count + 1})), void_values=[0]"
            )
        return (
            f"{text}. The file has {_ranges(found.tolist())}: name the value of each "
            "class in label_values, values of no class in void_values"
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


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A lossless picture; what counts is the content, whatever the suffix."""
    try:
        with Image.open(path) as picture:
            if picture.format in LOSSY:
                raise DataError(
                    f"the content is {picture.format}, which changes the values of "
                    "pixels; save labels as PNG, from the original and not from this"
                )
            yield picture
    except OSError as error:
        raise DataError(f"cannot be decoded ({error}); get it again") from error


def _read_few_bits(path: Path) -> NDArray | None:
    """Numbers that OpenCV turns into colours (a palette) or 0 and 255 (one bit)."""
    with _opened(path) as picture:
        return np.asarray(picture, np.uint8) if picture.mode in ("P", "1") else None


def _read_colours(path: Path) -> NDArray[np.uint8]:
    with _opened(path) as picture:
        return np.asarray(picture.convert("RGB"))


def _colours(picture: NDArray[np.uint8]) -> list[str]:
    found = np.unique(picture.reshape(-1, 3), axis=0)
    return [str(colour) for colour in found.tolist()]
