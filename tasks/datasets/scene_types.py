"""The 27 kinds of scene of NYU Depth v2, and which frame shows which."""

from __future__ import annotations

from pathlib import Path

from tasks.datasets.errors import DataError
from tasks.datasets.name_patterns import read_lines

#: As the official file spells them, in alphabetical order.
SCENE_TYPES = (
    "basement",
    "bathroom",
    "bedroom",
    "bookstore",
    "cafe",
    "classroom",
    "computer_lab",
    "conference_room",
    "dinette",
    "dining_room",
    "excercise_room",
    "foyer",
    "furniture_store",
    "home_office",
    "home_storage",
    "indoor_balcony",
    "kitchen",
    "laundry_room",
    "living_room",
    "office",
    "office_kitchen",
    "playroom",
    "printer_room",
    "reception_room",
    "student_lounge",
    "study",
    "study_room",
)
FILE = "scene_types.txt"


def check_scene_types(types: list[str], source: Path) -> list[str]:
    """The types themselves, if all are known.

    Raises:
        DataError: One is not in ``SCENE_TYPES``.
    """
    unknown = sorted(set(types) - set(SCENE_TYPES))
    if unknown:
        raise DataError(
            f"{source}: sceneTypes has {unknown[0]!r}, expected one of "
            f"{', '.join(SCENE_TYPES)}; use the official labelled file"
        )
    return types


def read_scene_types(root: Path) -> dict[str, int]:
    """Class of the scene of each frame, a place in ``SCENE_TYPES``.

    Args:
        root: A prepared folder; its ``scene_types.txt`` has lines ``FRAME TYPE``.

    Raises:
        DataError: The file is missing, or has a line or a type that is none.

    Examples:
        >>> read_scene_types(Path("no-such-folder"))
        Traceback (most recent call last):
        tasks.datasets.errors.DataError: 'no-such-folder/scene_types.txt' does not ...
    """
    path = root / FILE
    if not path.is_file():
        raise DataError(
            f"'{path}' does not exist, so the scenes are unknown; prepare the folder "
            "from the official nyu_depth_v2_labeled.mat with tools/prepare_nyud.py "
            "(a folder prepared earlier gets the file when the command is run again), "
            "or leave the scene task out"
        )
    known = {name: place for place, name in enumerate(SCENE_TYPES)}
    found = {}
    for line in read_lines(path):
        words = line.split()
        if len(words) != 2 or words[1] not in known:
            raise DataError(
                f"'{path}' has the line {line!r}; expected a frame and one of "
                f"{', '.join(SCENE_TYPES)}; prepare the data again"
            )
        found[words[0]] = known[words[1]]
    return found
