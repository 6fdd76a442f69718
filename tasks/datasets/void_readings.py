"""Labels of one value more than classes: is the first or the last one void?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.datasets.errors import DataError

if TYPE_CHECKING:
    from tasks.datasets.label_format import LabelFormat

VOID = 255
#: So many times rarer than the other one a value is taken for the void one.
RARER = 4
#: As many label files are looked at before a run begins.
LOOKED_AT = 100


class TwoReadings(DataError):
    """Labels have the values 0 to K, where 0 to K - 1 are expected.

    Args:
        message: What was found in one file.
        pixels: Pixels of each value there.
        path: The file.
    """

    def __init__(
        self,
        message: str,
        pixels: Mapping[int, int] | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(message)
        self.pixels = dict(pixels or {})
        self.path = path


@dataclass
class ValueCounts:
    """How often values stand in the label files of a data set.

    Args:
        classes: Number K of classes; values 0 to K are in question.
        others: Values that are named as void; 255 is usual.

    Examples:
        Value 3 is everywhere and rare; the first file alone says the opposite.

        >>> counts = ValueCounts(3)
        >>> for pixels in [{0: 1, 1: 9, 3: 9}, {0: 99, 3: 1}, {0: 99, 3: 1}]:
        ...     counts.add(pixels)
        >>> counts.void, counts.pixels[0], counts.pixels[3]
        (3, 199, 11)
    """

    classes: int
    others: list[int] = field(default_factory=list)
    files: int = 0
    pixels: dict[int, int] = field(default_factory=dict)
    files_with: dict[int, int] = field(default_factory=dict)
    #: Of a file with the value K.
    example: str | None = None

    @classmethod
    def of(cls, form: LabelFormat | None) -> ValueCounts:
        """Nothing counted yet, for the classes and void values of a format."""
        if form is None:
            return cls(0)
        return cls(len(form.classes), [] if form.void_is_default else form.void_codes)

    def add(self, pixels: Mapping[int, int], path: str | None = None) -> None:
        """Count a file.

        Args:
            pixels: Pixels of each value that stands in it.
            path: The file.
        """
        self.files += 1
        for value, count in pixels.items():
            if count:
                self.pixels[value] = self.pixels.get(value, 0) + count
                self.files_with[value] = self.files_with.get(value, 0) + 1
        if path and self.example is None and pixels.get(self.classes):
            self.example = path

    @property
    def void(self) -> int | None:
        """The value that the counts say to be void, None where they do not tell.

        A value that no file has is none of the classes. Else the rarer one is void if
        it is ``RARER`` times rarer and yet in half of the files or more: void is a
        little of most pictures, while a class of few pictures is rare, too.
        """
        first, last = (self.pixels.get(value, 0) for value in (0, self.classes))
        if not first or not last:
            return 0 if last else None
        rarer, rare, common = (
            (0, first, last) if first < last else (self.classes, last, first)
        )
        spread = 2 * self.files_with[rarer] >= self.files
        return rarer if common >= RARER * rare and spread else None

    def readings(self) -> str:
        """Both readings with their counts, the likelier one first."""
        count = self.classes
        more = self.others or ([VOID] if self.pixels.get(VOID) else [])
        also = "".join(f", {value}" for value in more)
        texts = {
            0: f"if 0 is void and the classes are 1 to {count}: "
            f"label_values=list(range(1, {count + 1})), void_values=[0{also}]",
            count: f"if {count} is void and the classes are 0 to {count - 1}: "
            f"void_values=[{count}{also}]",
        }
        rarer = min(texts, key=lambda value: self.pixels.get(value, 0))
        first = rarer if self.void is None else self.void
        total = max(1, sum(self.pixels.values()))
        shares = " and ".join(
            f"{100 * self.pixels.get(value, 0) / total:.1f} % are {value} "
            f"({self.pixels.get(value, 0)} pixels, in "
            f"{_files(self.files_with.get(value, 0))})"
            for value in texts
        )
        return (
            f"One value has to be void. Either {texts[first]}; or "
            f"{texts[count - first]}. Of the pixels of {_files(self.files)} {shares}: "
            f"{self._told()}"
        )

    def _told(self) -> str:
        if self.void is None:
            return "that does not tell which"
        if not self.pixels.get(0):
            return "nothing is 0, so the first reading is the likelier one"
        return (
            "no class is usually rare and in most pictures, so the first reading is "
            "the likelier one"
        )

    def problem(self) -> str:
        """The readings of a data set, in a sentence."""
        void = self.others or [VOID]
        return (
            f"labels '{self.example}': has the values {self.classes}, which stand for "
            f"nothing; accepted are 0 to {self.classes - 1} (the {self.classes} "
            f"classes) and {', '.join(map(str, void))} (void). Of "
            f"{_files(self.files)} {self.files_with.get(self.classes, 0)} have it. "
            f"{self.readings()}"
        )


@contextmanager
def told_by_all(formats: Mapping[str, Any], samples: Sequence[dict]) -> Iterator[None]:
    """Say of a file with two readings what many files of the data set say.

    Args:
        formats: ``label_format``: how labels are read.
        samples: The frames; ``seg_map_path``: their label files. At most
            ``LOOKED_AT`` are read, evenly spaced.

    Raises:
        DataError: Both readings with the counts over these files.
    """
    try:
        yield
    except TwoReadings as error:
        paths = [sample["seg_map_path"] for sample in samples]
        chosen = min(LOOKED_AT, len(paths))
        spaced = {paths[k * len(paths) // chosen] for k in range(chosen)}
        form = formats["label_format"]
        counts = ValueCounts.of(form)
        for path in sorted(spaced | ({error.path} if error.path else set())):
            pixels = form.count_values(path)
            if pixels is not None:
                counts.add(pixels, path)
        raise DataError(counts.problem()) from error


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"
