"""The fixed validation split of NYU Depth v2: 159 of its 795 training frames.

No choice (method, loss, weights of losses, number of steps) should look at the test
frames. The training frames are therefore divided once and for all: 636 frames are
``'train_part'``, 159 ``'validation'``.

No scene is on both sides. The official file lists the frames scene by scene, and the
official split puts every scene into one part as a whole. So a run of consecutive
training frames, which test frames stand around, consists of whole scenes. There are 123
runs, and whole runs are taken: in an order drawn with a seed, each that still fits into
a fifth of the frames (:func:`draw_validation`). The seed 18 is the first, from 0 on,
with which every class is in at least five frames of the validation and ten of the rest.

Checked: the other division by scene that is published (381 and 414 frames, Gupta et
al., CVPR 2013, as the lists of github.com/shelhamer/fcn.berkeleyvision.org have it)
divides none of the 123 runs either.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.datasets.errors import DataError
from tasks.datasets.scenes import read_scenes

TRAIN_FRAMES = 795
SEED = 18
SHARE = 0.2
#: First and last number of the runs that are the validation split.
# fmt: off
VALIDATION_RUNS = (
    (10, 13), (19, 20), (177, 179), (203, 206), (274, 278), (336, 350), (595, 602),
    (614, 616), (622, 632), (652, 655), (665, 667), (695, 696), (719, 723), (788, 799),
    (805, 809), (909, 916), (920, 925), (929, 931), (963, 964), (1054, 1056),
    (1097, 1097), (1105, 1105), (1168, 1169), (1177, 1178), (1185, 1191), (1221, 1225),
    (1251, 1253), (1266, 1274), (1281, 1284), (1296, 1296), (1300, 1301), (1357, 1363),
    (1392, 1393), (1402, 1406),
)
# fmt: on


def runs_of(numbers: Sequence[int]) -> list[list[int]]:
    """Consecutive numbers together.

    Args:
        numbers: In any order.

    Examples:
        >>> runs_of([7, 3, 4, 8, 10])
        [[3, 4], [7, 8], [10]]
    """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def draw_validation(
    numbers: Sequence[int], seed: int = SEED, share: float = SHARE
) -> list[tuple[int, int]]:
    """Draw whole runs of frames until no further one fits into a share of them.

    Args:
        numbers: Numbers of the training frames.
        seed: Of the order in which the runs are tried.
        share: Of the frames, in (0, 1).

    Returns:
        First and last number of each run that was drawn, in order.

    Examples:
        >>> draw_validation([3, 4, 7, 10, 11, 12], seed=0, share=0.5)
        [(10, 12)]
    """
    runs, room = runs_of(numbers), int(share * len(numbers))
    drawn = []
    for place in np.random.default_rng(seed).permutation(len(runs)):
        run = runs[place]
        if len(run) <= room:
            room -= len(run)
            drawn.append((run[0], run[-1]))
    return sorted(drawn)


def validation_names() -> list[str]:
    """Names of the validation frames, as a prepared folder has them.

    Examples:
        >>> names = validation_names()
        >>> len(names), len(set(names)), names[0]
        (159, 159, '00010')
    """
    runs = (range(first, last + 1) for first, last in VALIDATION_RUNS)
    return [f"{number:05d}" for run in runs for number in run]


def split_validation(names: list[str], root: Path) -> tuple[list[str], list[str]]:
    """The two parts of the official training frames.

    Args:
        names: Names in ``train.txt``.
        root: The folder, for messages; where its ``scenes.txt`` says which frame shows
            which scene, it must agree that no scene is on both sides.

    Returns:
        Names of ``'train_part'`` and of ``'validation'``, both in the given order.

    Raises:
        DataError: The frames are not the official ones, or a scene is on both sides.
    """
    chosen = set(validation_names())
    if len(names) != TRAIN_FRAMES or not chosen <= set(names):
        raise DataError(
            f"'{root / 'train.txt'}' has {len(names)} frames, of which "
            f"{len(chosen & set(names))} are among the {len(chosen)} validation frames "
            f"of NYUv2: the splits 'train_part' and 'validation' are those of its "
            f"official {TRAIN_FRAMES} training frames; for other data carve one with "
            "split='train', split='val' and val_fraction=0.2"
        )
    part = [name for name in names if name not in chosen]
    validation = [name for name in names if name in chosen]
    path = root / "scenes.txt"
    if path.is_file():
        both = set(read_scenes(path, part)) & set(read_scenes(path, validation))
        if both:
            raise DataError(
                f"'{path}' has the scene '{min(both)}' in frames of 'train_part' and "
                "of 'validation', which share none in the official file; prepare the "
                "data again"
            )
    return part, validation
