"""NYU Depth v2 in the project's layout, and anything else in the same layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from mmseg.registry import DATASETS

from tasks.datasets.errors import DataError
from tasks.datasets.name_patterns import read_names, some
from tasks.datasets.nyu40 import NYU40_CLASSES, NYU40_PALETTE
from tasks.datasets.nyud_validation import split_validation
from tasks.datasets.replayable import ReplayableDataset
from tasks.datasets.scenes import read_scenes, split_scenes

SPLITS = ("train", "val", "trainval", "train_part", "validation", "test")


@DATASETS.register_module()
class NYUv2Dataset(ReplayableDataset):
    """RGB-D frames with 40 semantic classes and depth in metres.

    Reads a folder with ``images/*.jpg|png``, ``depth/*.png`` (uint16 millimetres, 0
    unknown), ``labels40/*.png`` (uint8, 0 void, 1 to 40), ``train.txt`` and
    ``test.txt`` (a frame name a line), as ``tools/prepare_nyud.py`` writes it.

    The test split never selects anything. NYUv2 itself has a fixed validation split,
    ``'train_part'`` and ``'validation'`` (:mod:`tasks.datasets.nyud_validation`). Of
    other data one is carved from the training frames scene by scene, ``'train'`` and
    ``'val'`` with ``val_fraction``: without ``scenes.txt``, blocks of eight consecutive
    frame numbers stand for scenes.

    Args:
        data_root: The folder.
        split: ``'train'`` (without the carved frames), ``'val'`` (the carved frames),
            ``'trainval'`` (all training frames), ``'train_part'``, ``'validation'`` or
            ``'test'``.
        val_fraction: Share of the training frames to carve, in [0, 1).
        pipeline: Transforms; the first is usually ``LoadFrame``.
        limit: Use the first frames only, for trials.
        metainfo: Other class names, for tasks that make their own labels.
        test_mode: Set for evaluation loaders.

    Raises:
        DataError: The folder or one of its parts is missing or was left half-written.

    References:
        Silberman et al., Indoor Segmentation and Support Inference from RGBD Images,
        ECCV 2012; Gupta et al., Perceptual Organization and Recognition of Indoor
        Scenes from RGB-D Images, CVPR 2013 (the 40 classes).
    """

    METAINFO: ClassVar[dict] = dict(classes=NYU40_CLASSES, palette=NYU40_PALETTE)
    #: What stands for a split where no choice may look at the test frames.
    VALIDATION_SPLITS: ClassVar[dict] = dict(
        train="train_part", trainval="train_part", val="validation", test="validation"
    )

    def __init__(
        self,
        data_root: str,
        split: str,
        val_fraction: float = 0.0,
        pipeline: list | tuple = (),
        limit: int | None = None,
        metainfo: dict | None = None,
        test_mode: bool = False,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(
                f"split {split!r} is unknown; choose from {', '.join(SPLITS)}"
            )
        if not 0 <= val_fraction < 1:
            raise ValueError(f"val_fraction must be in [0, 1), got {val_fraction}")
        if split == "val" and val_fraction == 0:
            raise ValueError("split 'val' needs val_fraction > 0, for example 0.1")
        if split in ("train_part", "validation") and val_fraction:
            raise ValueError(
                f"split {split!r} is fixed and val_fraction is {val_fraction}: set "
                "val_fraction=0, or carve frames with split='train' and split='val'"
            )
        self.split = split
        self.val_fraction = val_fraction
        self.limit = limit
        super().__init__(
            data_root=data_root,
            metainfo=metainfo,
            pipeline=list(pipeline),
            test_mode=test_mode,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        root = Path(self.data_root)
        if not root.is_dir():
            raise DataError(
                f"data set folder '{root}' does not exist; make it with "
                "tools/prepare_nyud.py (or tools/make_rooms.py for generated rooms), "
                "or name another with --cfg-options data_root=FOLDER"
            )
        if (root / "INCOMPLETE").exists():
            raise DataError(
                f"data set folder '{root}' was left half-written; run the same "
                "tools/prepare_nyud.py command again, it resumes"
            )
        suffix = ".png" if _has_png(root) else ".jpg"
        frames = self._frames(root)[: self.limit]
        return [
            dict(
                frame=name,
                img_path=str(root / "images" / f"{name}{suffix}"),
                seg_map_path=str(root / "labels40" / f"{name}.png"),
                depth_path=str(root / "depth" / f"{name}.png"),
            )
            for name in frames
        ]

    def _frames(self, root: Path) -> list[str]:
        _check_apart(root / "train.txt", root / "test.txt")
        if self.split == "test":
            return _read_list(root / "test.txt")
        names = _read_list(root / "train.txt")
        if self.split in ("train_part", "validation"):
            part, validation = split_validation(names, root)
            return part if self.split == "train_part" else validation
        if self.split == "trainval" or self.val_fraction == 0:
            return names
        train, val = split_scenes(
            names, read_scenes(root / "scenes.txt", names), self.val_fraction
        )
        return train if self.split == "train" else val


def _check_apart(train: Path, test: Path) -> None:
    """What is trained on must not be tested on."""
    if not (train.is_file() and test.is_file()):
        return
    both = sorted(set(_read_list(train)) & set(_read_list(test)))
    if both:
        raise DataError(
            f"'{train}' and '{test}' both have {len(both)} frames: {some(both)}; "
            "figures of frames that are trained on say nothing, delete them in one list"
        )


def _has_png(root: Path) -> bool:
    folder = root / "images"
    if not folder.is_dir():
        raise DataError(
            f"data set folder '{root}' has no folder 'images'; make it with "
            "tools/prepare_nyud.py"
        )
    return next(folder.glob("*.png"), None) is not None


def _read_list(path: Path) -> list[str]:
    if not path.is_file():
        raise DataError(
            f"split list '{path}' does not exist; make it with tools/prepare_nyud.py"
        )
    return read_names(path)
