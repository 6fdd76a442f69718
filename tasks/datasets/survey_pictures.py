"""What a data set of pictures with one label each consists of, every picture read."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm

from tasks.datasets.errors import DataError
from tasks.datasets.findings import EqualPictures
from tasks.datasets.labelled_pictures import LabelledPictures
from tasks.picture_files import read_picture
from tasks.whole_file import check_whole


def survey_pictures(
    dataset: LabelledPictures,
    equal: EqualPictures,
    kind: dict[str, int | None] | None = None,
) -> dict[str, Any]:
    """Read every picture of a data set.

    Args:
        dataset: With an empty pipeline.
        equal: Filled with its pictures.
        kind: How they are read, see :func:`tasks.picture_files.read_picture`.

    Returns:
        ``pictures``; ``smallest`` and ``largest`` ``[H, W]``; ``classes``: how many
        pictures each has, in percent; ``problems``: a sentence for each picture that
        cannot be used, or that two classes have; ``copies``: how often a picture is
        there again.
    """
    names = dataset.metainfo["classes"]
    counts, shapes, problems = [0] * len(names), [], []
    label_of: dict[str, int] = {}
    for index in tqdm(range(len(dataset)), unit="picture", disable=None):
        info = dataset.get_data_info(index)
        path, label = info["img_path"], info["gt_label"]
        try:
            picture = info.get("img")
            if picture is None:
                picture = read_picture(path, **(kind or {}))
                check_whole(path)
        except DataError as error:
            problems.append(str(error))
            continue
        shapes.append(picture.shape[:2])
        counts[label] += 1
        label_of[path] = label
        first = equal.add(path, picture)
        if first is not None and label_of.get(first, label) != label:
            problems.append(
                f"'{path}' of the class '{names[label]}' has the same pixels as "
                f"'{first}' of the class '{names[label_of[first]]}'; delete the wrong "
                "one"
            )
    found: dict[str, Any] = dict(pictures=len(dataset), problems=problems)
    if shapes:
        by_area = sorted(shapes, key=lambda shape: shape[0] * shape[1])
        found.update(smallest=list(by_area[0]), largest=list(by_area[-1]))
        shares = [100 * count / len(shapes) for count in counts]
        found["classes"] = dict(zip(names, shares, strict=True))
    return found
