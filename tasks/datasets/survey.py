"""What a data set of a user's own consists of: every file read, every mistake named."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.config import Config
from tqdm import tqdm

from tasks.datasets.dense_folder import DenseFolderDataset
from tasks.datasets.depth_ranges import range_notes
from tasks.datasets.errors import DataError
from tasks.datasets.frame_files import check_whole, read_frame
from tasks.datasets.label_format import VOID

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def survey_config(config: Config) -> dict[str, dict[str, Any]]:
    """Survey the data set of every loader of a config.

    Returns:
        Figures of :func:`survey`, by the loaders' names; ``trained``: how many of a
        loader's pictures are trained on, too;
        ``notes``: whether head and evaluator reach as far as the depth does.

    Raises:
        DataError: A loader does not read folders that the config describes.
    """
    found: dict[str, dict[str, Any]] = {}
    trained: set[str] = set()
    for loader in LOADERS:
        if config.get(loader) is None:
            continue
        options = dict(config[loader].dataset)
        kind = options.pop("type")
        if kind not in (DenseFolderDataset, DenseFolderDataset.__name__):
            raise DataError(
                f"{loader} reads {getattr(kind, '__name__', kind)}; only data sets in "
                "folders (DenseFolderDataset) can be checked"
            )
        dataset = DenseFolderDataset(**{**options, "pipeline": [], "probe": False})
        figures = survey(dataset)
        paths = {dataset.get_data_info(k)["img_path"] for k in range(len(dataset))}
        if loader == LOADERS[0]:
            trained = paths
        elif trained & paths:
            figures["trained"] = len(trained & paths)
        split = loader.removesuffix("_dataloader")
        if config.get("model") and (
            notes := range_notes(figures.get("depth"), config, split)
        ):
            figures["notes"] = notes
        found[split] = figures
    return found


def survey(dataset: DenseFolderDataset) -> dict[str, Any]:
    """Read every frame of a data set.

    Returns:
        ``pictures``; ``smallest`` and ``largest`` ``[H, W]``; ``problems``: a sentence
        for each frame that cannot be used, or one if masks could mean two things; with
        labels ``classes``: share of the pixels of each class in percent, and ``void``;
        with depth ``depth``: nearest and farthest in metres (None when no pixel is
        known), and ``unknown``: share of the pixels in percent.
    """
    shapes, problems = [], []
    names = (dataset.metainfo.get("classes") or []) if dataset.has_labels else []
    pixels = np.zeros(VOID + 1, np.int64)
    depths, unknown, total = [], 0, 0
    for index in tqdm(range(len(dataset)), unit="frame", disable=None):
        try:
            info = dataset.get_data_info(index)
            frame = read_frame(info)
            check_whole(info["img_path"])
        except DataError as error:
            problems.append(str(error))
            continue
        shapes.append(frame["img"].shape[:2])
        total += frame["img"][..., 0].size
        if "gt_seg_map" in frame:
            pixels += np.bincount(frame["gt_seg_map"].ravel(), minlength=VOID + 1)
        if "gt_depth_map" in frame:
            known = frame["gt_depth_map"][frame["gt_depth_map"] > 0]
            unknown += frame["gt_depth_map"].size - known.size
            depths += [float(known.min()), float(known.max())] if known.size else []
    found: dict[str, Any] = dict(pictures=len(dataset), problems=problems)
    if shapes:
        by_area = sorted(shapes, key=lambda shape: shape[0] * shape[1])
        found.update(smallest=list(by_area[0]), largest=list(by_area[-1]))
    if len(dataset) > len(problems):
        seen = set(np.flatnonzero(pixels).tolist())
        try:
            dataset.refuse_mask(seen, dataset.get_data_info(0))
        except DataError as error:
            problems.append(str(error))
    if names and total:
        share = 100 * pixels / total
        found["classes"] = {n: float(s) for n, s in zip(names, share, strict=False)}
        found["void"] = float(share[VOID])
    if dataset.has_depth and total:
        reach = [min(depths), max(depths)] if depths else None
        found.update(depth=reach, unknown=100 * unknown / total)
    return found


def as_text(split: str, found: dict[str, Any]) -> str:
    """The survey of one data set in a few lines.

    Examples:
        >>> print(as_text("train", dict(pictures=2, problems=[], smallest=[4, 6],
        ...     largest=[8, 8], classes={"sky": 60.0, "car": 0.0}, void=40.0)))
        train: 2 pictures of 4x6 to 8x8 (rows x columns)
          sky 60.0 %, car 0.0 %, void 40.0 % of the pixels
          no pixel of car
    """
    lines = [f"{split}: {found['pictures']} pictures"]
    if "smallest" in found:
        small, large = ("x".join(map(str, found[k])) for k in ("smallest", "largest"))
        lines[0] += f" of {small} to {large} (rows x columns)"
    if "classes" in found:
        shares = {**found["classes"], "void": found["void"]}
        text = ", ".join(f"{name} {share:.1f} %" for name, share in shares.items())
        lines.append(f"  {text} of the pixels")
        absent = [name for name, share in found["classes"].items() if share == 0]
        if absent:
            lines.append(f"  no pixel of {', '.join(absent)}")
    if "depth" in found:
        near_far = found["depth"]
        reach = f" {near_far[0]:.2f} to {near_far[1]:.2f} m," if near_far else ""
        share = f"{found['unknown']:.1f} % of the pixels"
        lines.append(f"  depth{reach} unknown at {share}")
    if "trained" in found:
        lines.append(
            f"  {found['trained']} of them are trained on, too: figures measured here "
            "say nothing about new pictures"
        )
    lines += [f"  note: {note}" for note in found.get("notes", [])]
    lines += [f"  problem: {problem}" for problem in found["problems"]]
    return "\n".join(lines)
