"""A picture beside what each head of a model says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmim.task import known_tasks
from tasks.pictures import contact_sheet


def side_by_side(
    sample: Any, palette: Sequence | None = None, with_image: bool = True
) -> NDArray[np.uint8]:
    """One row of drawings under their tasks' names.

    Args:
        sample: A predicted one; its metainfo has ``img_path``, or, of a frame of a
            video, the picture itself as ``shown``, ``(H, W, 3)`` uint8 RGB.
        palette: RGB triple of each class; some that differ when None.
        with_image: Whether the picture itself stands in front.

    Returns:
        ``(H + 28, columns * (W + 4) - 4, 3)`` uint8 RGB.

    Raises:
        ValueError: The sample has no prediction that can be drawn.
    """
    drawn = {
        task.name: task.draw(sample, palette)
        for task in known_tasks().values()
        if task.draw is not None and task.prediction in sample
    }
    if not drawn:
        raise ValueError(
            "a classifier predicts no picture: give pictures without --side-by-side, "
            "and its classes are printed"
        )
    image = next(iter(drawn.values())).image
    titles = ["picture"] if with_image else []
    cells = [image] if with_image else []
    return contact_sheet(
        [[*cells, *(each.prediction for each in drawn.values())]], [*titles, *drawn]
    )
