"""What a data set of a user's own consists of: every file read, every mistake named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS
from tqdm import tqdm

from cmim.data_parts import data_parts
from cmim.engine.config_place import named_part
from tasks.datasets.dense_folder import DenseFolderDataset
from tasks.datasets.depth_ranges import range_notes
from tasks.datasets.errors import DataError
from tasks.datasets.findings import EqualPictures, by_reason
from tasks.datasets.frame_files import read_frame
from tasks.datasets.label_files import Palettes
from tasks.datasets.label_format import VOID
from tasks.datasets.labelled_pictures import LabelledPictures
from tasks.datasets.survey_pictures import survey_pictures
from tasks.datasets.void_readings import TwoReadings, ValueCounts
from tasks.whole_file import check_whole

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


@named_part
def survey_config(config: Config) -> dict[str, dict[str, Any]]:
    """Survey the data set of every loader of a config, and each part of joined ones.

    Returns:
        Figures of :func:`survey` or
        :func:`tasks.datasets.survey_pictures.survey_pictures`, by the loaders' names;
        ``trained``: how many of a loader's pictures are trained on, too. Pictures that
        are, under another name, are among the ``problems``. ``notes``: whether head
        and evaluator reach as far as the depth does.

    Raises:
        DataError: A loader reads neither folders that the config describes nor pictures
            with one label each.
    """
    found: dict[str, dict[str, Any]] = {}
    trained, paths_trained = EqualPictures(), set[str]()
    palettes: dict[Any, Palettes] = {}
    every = [data_parts(config, loader) for loader in LOADERS]
    roots = [{str(part.get("data_root")) for _, part in parts} for parts in every]
    several = any(len(joined) > 1 for joined in roots)
    for loader in LOADERS:
        parts = data_parts(config, loader)
        for number, (place, options) in enumerate(parts):
            dataset, kind = _built(place, dict(options))
            # Numbers mean the same in all splits; other data sets number otherwise.
            _share_palettes(dataset, palettes, dataset.data_root if several else "")
            equal = trained if loader == LOADERS[0] else EqualPictures()
            before = len(equal.copies)
            if isinstance(dataset, DenseFolderDataset):
                figures = survey(dataset, equal)
            else:
                figures = survey_pictures(dataset, equal, kind)
            figures["copies"] = equal.copies[before:]
            paths = {dataset.get_data_info(k)["img_path"] for k in range(len(dataset))}
            if loader == LOADERS[0]:
                paths_trained |= paths
            elif paths_trained & paths:
                figures["trained"] = len(paths_trained & paths)
            if equal is not trained and (leak := equal.leak(trained, paths_trained)):
                figures["problems"].append(leak)
            split = loader.removesuffix("_dataloader")
            if config.get("model") and (
                notes := range_notes(figures.get("depth"), config, split)
            ):
                figures["notes"] = notes
            found[split if len(parts) == 1 else f"{split} part {number}"] = figures
    return found


def _built(
    place: str, options: dict[str, Any]
) -> tuple[DenseFolderDataset | LabelledPictures, dict[str, int | None]]:
    """A data set that reads nothing yet, and how its pictures are read."""
    named = options.pop("type")
    kind = DATASETS.get(named) if isinstance(named, str) else named
    if kind is None or not issubclass(kind, (DenseFolderDataset, LabelledPictures)):
        given = getattr(named, "__name__", named)
        raise DataError(
            f"{place.removesuffix('.dataset')} reads {given}; only data sets in "
            "folders (DenseFolderDataset) and pictures with one label each "
            "(ImageFolderDataset, CIFAR, IDX) can be checked"
        )
    steps = [dict(step) for step in options.get("pipeline", ())]
    loading = steps[0] if steps else {}
    names = ("channels", "white")
    how = {name: loading.get(f"image_{name}") for name in names}
    if issubclass(kind, DenseFolderDataset):
        options["probe"] = False
    return kind(**{**options, "pipeline": []}), how


def _share_palettes(dataset: Any, palettes: dict[Any, Palettes], source: str) -> None:
    form = getattr(dataset, "formats", {}).get("label_format")
    if form is not None:
        key = (str(source), form.palettes.ignored)
        form.palettes = palettes.setdefault(key, form.palettes)


@dataclass
class _Tally:
    """What the frames read so far hold.

    Attributes:
        values: Of label files, with a second reading of them.
        shapes: ``(H, W)`` of each frame.
        silent: Label files that are all void.
        pixels: By class, ``VOID`` among them.
        depths: Nearest and farthest of each frame, in metres.
        unknown: Pixels without a depth.
        total: Pixels of all frames.
    """

    values: ValueCounts
    shapes: list[tuple[int, int]] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(VOID + 1, np.int64))
    depths: list[float] = field(default_factory=list)
    unknown: int = 0
    total: int = 0

    def add(self, info: dict[str, Any], frame: dict[str, Any]) -> None:
        """Count a frame that was read."""
        self.shapes.append(frame["img"].shape[:2])
        self.total += frame["img"][..., 0].size
        if "gt_seg_map" in frame:
            counts = np.bincount(frame["gt_seg_map"].ravel(), minlength=VOID + 1)
            self.silent += [info["seg_map_path"]] * (not counts[:VOID].any())
            self.pixels += counts
            seen = np.flatnonzero(counts).tolist()
            self.values.add({k: int(counts[k]) for k in seen})
        if "gt_depth_map" in frame:
            known = frame["gt_depth_map"][frame["gt_depth_map"] > 0]
            self.unknown += frame["gt_depth_map"].size - known.size
            self.depths += (
                [float(known.min()), float(known.max())] if known.size else []
            )

    def contradictions(self, dataset: DenseFolderDataset) -> list[str]:
        """What is wrong with the frames together: masks that are none, all void."""
        seen = set(np.flatnonzero(self.pixels).tolist())
        try:
            samples = [dataset.get_data_info(k) for k in range(len(dataset))]
            dataset.refuse_mask(seen, samples[0])
            dataset.refuse_void(seen, bool(self.depths), samples)
        except DataError as error:
            return [str(error)]
        return []

    def figures(self, dataset: DenseFolderDataset) -> dict[str, Any]:
        """Sizes, shares of classes and the reach of depth, of what there is."""
        found: dict[str, Any] = {}
        if self.shapes:
            by_area = sorted(self.shapes, key=lambda shape: shape[0] * shape[1])
            found.update(smallest=list(by_area[0]), largest=list(by_area[-1]))
        names = (dataset.metainfo.get("classes") or []) if dataset.has_labels else []
        if names and self.total:
            share = 100 * self.pixels / self.total
            found["classes"] = {n: float(s) for n, s in zip(names, share, strict=False)}
            found["void"] = float(share[VOID])
        if dataset.has_depth and self.total:
            reach = [min(self.depths), max(self.depths)] if self.depths else None
            found.update(depth=reach, unknown=100 * self.unknown / self.total)
        return found


def survey(
    dataset: DenseFolderDataset, equal: EqualPictures | None = None
) -> dict[str, Any]:
    """Read every frame of a data set.

    Args:
        dataset: Built with ``probe=False``.
        equal: Filled with its pictures.

    Returns:
        ``pictures``; ``smallest`` and ``largest`` ``[H, W]``; ``problems``: a sentence
        for each frame that cannot be used, or one if masks could mean two things or all
        frames say nothing; ``silent``: frames whose labels are all void; with
        labels ``classes``: share of the pixels of each class in percent, and ``void``;
        with depth ``depth``: nearest and farthest in metres (None when no pixel is
        known), and ``unknown``: share of the pixels in percent.
    """
    problems: list[str] = []
    tally = _Tally(ValueCounts.of(dataset.formats.get("label_format")))
    equal = EqualPictures() if equal is None else equal
    for index in tqdm(range(len(dataset)), unit="frame", disable=None):
        try:
            info = dataset.get_data_info(index)
            frame = read_frame(info)
            for key in ("img_path", "extra_path", "seg_map_path", "depth_path"):
                if key in info:
                    check_whole(info[key])
        except TwoReadings as error:
            tally.values.add(error.pixels, error.path)
            continue
        except DataError as error:
            problems.append(str(error))
            continue
        equal.add(info["img_path"], frame["img"])
        tally.add(info, frame)
    if tally.values.example is not None:
        # Which reading is right is told by all files together, not by each.
        problems.append(tally.values.problem())
    if tally.shapes:
        problems += tally.contradictions(dataset)
    return dict(
        pictures=len(dataset),
        problems=problems,
        silent=tally.silent,
        **tally.figures(dataset),
    )


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
        unit = "pixel" if "void" in found else "picture"
        void = {"void": found["void"]} if "void" in found else {}
        shares = {**found["classes"], **void}
        text = ", ".join(f"{name} {share:.1f} %" for name, share in shares.items())
        lines.append(f"  {text} of the {unit}s")
        absent = [name for name, share in found["classes"].items() if share == 0]
        if absent:
            lines.append(f"  no {unit} of {', '.join(absent)}")
    if found.get("silent"):
        silent = found["silent"]
        lines.append(
            f"  {len(silent)} labels are void everywhere, such as '{silent[0]}'"
        )
    if found.get("copies"):
        path, first = found["copies"][0]
        lines.append(
            f"  {len(found['copies'])} pictures are there again under another name, "
            f"such as '{path}', which is '{first}'"
        )
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
    for count, example in by_reason(found["problems"]):
        often = "" if count == 1 else f" ({count} times, for example)"
        lines.append(f"  problem{often}: {example}")
    return "\n".join(lines)
