"""Pictures with label or depth pictures in any folders, described in the config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmseg.registry import DATASETS

from tasks.datasets.errors import DataError
from tasks.datasets.folder_options import (
    metres_a_unit,
    named_labels,
    positive_or_none,
)
from tasks.datasets.frame_files import read_frame
from tasks.datasets.frame_names import check_there, find_labels
from tasks.datasets.label_files import check_label_pattern
from tasks.datasets.label_format import VOID
from tasks.datasets.label_values import Value
from tasks.datasets.name_patterns import fill_split, find_files, read_names
from tasks.datasets.replayable import ReplayableDataset
from tasks.datasets.void_readings import told_by_all
from tasks.transforms.load import LoadFrame

FINDERS = {"seg_map_path": find_labels}


@DATASETS.register_module()
class DenseFolderDataset(ReplayableDataset):
    """Pictures, and labels, depth or both of each, of any sizes.

    Where they lie is said by patterns: ``{split}`` stands for the split and ``{name}``
    for what is a frame's own (it may contain folders). Without ``names`` every picture
    that fits is a frame, and must have its labels and depth; with it, the list says
    which are. Usual layouts:

    - ``images="images/{split}/{name}.jpg", labels="labels/{split}/{name}.png"``
    - Cityscapes: ``images="leftImg8bit/{split}/{name}_leftImg8bit.png"``,
      ``labels="gtFine/{split}/{name}_gtFine_labelTrainIds.png"``
    - VOC: ``images="JPEGImages/{name}.jpg"``, ``labels="SegmentationClass/{name}.png"``
      with ``names="ImageSets/Segmentation/{split}.txt"``

    The first, middle and last frame are read at once, so that wrong descriptions are
    found before a run begins; every frame is checked when it is read. The pipeline
    begins with ``LoadFolderFrame``.

    Args:
        data_root: Folder that the patterns begin at.
        images: Pattern of the pictures; ``{name}.*`` for any suffix.
        labels: Pattern of the label pictures (PNG).
        depth: Pattern of the depth files: PNG of 16 bits, or ``.npy``.
        names: Pattern of a text file with a name a line.
        split: What ``{split}`` stands for.
        metainfo: ``classes``: class names, needed for labels; ``palette``: colours to
            draw them in.
        label_values: What stands for each class in the label files: numbers, or RGB
            triples; 0, 1, 2, ... when None. Several values make one class in a list or
            a range: ``[0, [1, 2], range(26000, 27000)]``.
        void_values: What stands for no class; when None 255, for colours black.
        ignore_palettes: Numbers count also where files colour them differently.
        depth_scale: Metres per unit of the depth files, needed for depth.
        depth_void_values: Values of the depth files that say "unknown", besides 0, NaN
            and infinity; 65535 of some sensors. ``[]`` says that there are none.
        image_channels: Bands of the pictures; RGB when None.
            See :func:`tasks.picture_files.read_picture`.
        image_extra: Pattern of files of one band each, for example depth, that becomes
            the fourth one behind RGB: what the network sees besides the picture.
        image_white: Value of pictures of 16 bits that becomes 255, for example 4095.
        pipeline: Transforms.
        limit: Use the first frames only, for trials.
        test_mode: Set for evaluation loaders.
        probe: Read the three frames at once; not for those who read all anyway.

    Raises:
        ValueError: The description contradicts itself or lacks something.
        DataError: The files are not what the description says.
    """

    def __init__(
        self,
        data_root: str,
        images: str,
        labels: str | None = None,
        depth: str | None = None,
        names: str | None = None,
        split: str | None = None,
        metainfo: dict | None = None,
        label_values: Sequence[Value] | None = None,
        void_values: Sequence[Value] | None = None,
        depth_scale: float | None = None,
        depth_void_values: Sequence[float] | None = None,
        pipeline: list | tuple = (),
        limit: int | None = None,
        test_mode: bool = False,
        probe: bool = True,
        ignore_palettes: bool = False,
        image_channels: int | None = None,
        image_white: int | None = None,
        image_extra: str | None = None,
    ) -> None:
        self.patterns = dict(img_path=images, seg_map_path=labels, depth_path=depth)
        self.patterns["extra_path"] = image_extra
        self.names = names
        self.split = split
        self.limit = limit
        self.probe = probe
        self.formats: dict[str, Any] = dict(
            image_channels=positive_or_none("image_channels", image_channels),
            image_white=positive_or_none("image_white", image_white),
        )
        self._check_patterns()
        if image_extra is not None and image_channels not in (None, 4):
            raise ValueError(
                f"image_channels is {image_channels}, and RGB with image_extra has 4 "
                "bands; leave image_channels out, or stack other bands into one file"
            )
        if labels is not None:
            form = named_labels(metainfo, label_values, void_values, ignore_palettes)
            self.formats["label_format"] = form
        if depth is not None:
            self.formats["depth_scale"] = metres_a_unit(depth_scale)
            self.formats["depth_void"] = depth_void_values
        super().__init__(
            data_root=data_root,
            metainfo=metainfo,
            pipeline=list(pipeline),
            test_mode=test_mode,
        )
        if any(isinstance(step, LoadFrame) for step in self.pipeline.transforms):
            raise ValueError(
                "LoadFrame reads prepared NYUv2 folders, whose labels have other "
                "numbers; use LoadFolderFrame"
            )

    @property
    def has_labels(self) -> bool:
        """Whether frames have labels."""
        return "label_format" in self.formats

    @property
    def has_depth(self) -> bool:
        """Whether frames have depth."""
        return "depth_scale" in self.formats

    def _check_patterns(self) -> None:
        if self.patterns["seg_map_path"] is self.patterns["depth_path"] is None:
            raise ValueError("give labels, depth or both: patterns of their files")
        if self.patterns["seg_map_path"] is not None:
            check_label_pattern(self.patterns["seg_map_path"])
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be at least 1 frame, got {self.limit}")
        used = [p for p in (*self.patterns.values(), self.names) if p is not None]
        if self.split is not None and not any("{split}" in p for p in used):
            raise ValueError(
                f"split {self.split!r} is given, but no pattern holds {{split}}: every "
                "split would be the same; put it into images, labels, depth or names"
            )

    def load_data_list(self) -> list[dict[str, Any]]:
        root = Path(self.data_root)
        if not root.is_dir():
            raise DataError(
                f"data set folder '{root}' does not exist; name the right one in the "
                "config, or with --cfg-options data_root=FOLDER"
            )
        files = {
            key: FINDERS.get(key, find_files)(root, pattern, self.split)
            for key, pattern in self.patterns.items()
            if pattern is not None
        }
        frames = self._frames(root, files)[: self.limit]
        samples = [
            dict(frame=name, **{key: str(files[key][name]) for key in files})
            for name in frames
        ]
        if self.probe:
            with told_by_all(self.formats, samples):
                self._probe(samples)
        return samples

    def _frames(self, root: Path, files: dict[str, dict[str, Path]]) -> list[str]:
        """Names of the frames; every one has all its files."""
        patterns = self.patterns
        if self.names is not None:
            listing = root / fill_split(self.names, self.split)
            frames = read_names(listing)
            for key, found in files.items():
                check_there(frames, found, f"{patterns[key]!r}", f"list '{listing}'")
            return frames
        images = files["img_path"]
        for key, found in files.items():
            other, pictures = f"{patterns[key]!r}", f"{patterns['img_path']!r}"
            check_there(list(images), found, other, pictures)
            check_there(list(found), images, pictures, other)
        return list(images)

    def _probe(self, samples: list[dict[str, Any]]) -> None:
        """Read a few frames, so that a wrong description is found at once."""
        places = sorted({0, len(samples) // 2, len(samples) - 1})
        seen: set[int] = set()
        depth = False
        # Where the first three say nothing, it takes more to know that all are so.
        for place in (*places, *(k for k in range(len(samples)) if k not in places)):
            frame = read_frame({**samples[place], **self.formats})
            if "gt_seg_map" in frame:
                seen.update(np.unique(frame["gt_seg_map"]).tolist())
            depth = depth or bool(np.any(frame.get("gt_depth_map", False)))
            if place == places[-1]:
                self.refuse_mask(seen, samples[0])
            if place >= places[-1] and self.tells(seen, depth):
                return
        self.refuse_void(seen, depth, samples)

    def tells(self, seen: set[int], depth: bool) -> bool:
        """Whether frames say something of everything that the data set has.

        Args:
            seen: Classes that they have, 255 for void.
            depth: Whether the depth of any pixel is known.
        """
        labels = not self.has_labels or bool(seen - {VOID})
        return labels and (depth or not self.has_depth)

    def refuse_void(self, seen: set[int], depth: bool, samples: list) -> None:
        """Refuse frames of which none has a pixel of a class, or a known depth.

        Args:
            seen: As :meth:`tells`.
            depth: As :meth:`tells`.
            samples: The frames.

        Raises:
            DataError: Nothing can be learnt from them.
        """
        if self.tells(seen, depth):
            return
        labels = self.has_labels and not seen - {VOID}
        what, key = ("labels", "seg_map_path") if labels else ("depth", "depth_path")
        advice = (
            "no pixel is of a class, every one is void; check label_values and "
            "void_values"
            if labels
            else "no pixel is known; check depth_void_values and the files"
        )
        raise DataError(
            f"the {what} of all {len(samples)} frames, such as "
            f"'{samples[0][key]}', say nothing: {advice}"
        )

    def refuse_mask(self, seen: set[int], sample: dict[str, Any]) -> None:
        """Ask about masks of 0 and 255: is 255 a class, or void as usual?

        Args:
            seen: Classes that frames have, 255 for void.
            sample: One of the frames, for the message.

        Raises:
            DataError: Two classes, nothing said about 255, and no pixel of 1.
        """
        form = self.formats.get("label_format")
        if form is None or not form.void_is_default or seen != {0, 255}:
            return
        if form.coloured or form.codes not in ([0], [0, 1]):
            return
        names = f"the class '{form.classes[-1]}'"
        if len(form.codes) == 1:
            names += f" and 0 another one: classes=['other', '{form.classes[0]}'],"
        else:
            names += ":"
        raise DataError(
            f"labels such as '{sample['seg_map_path']}' have the values 0 and 255 "
            f"only. If 255 is {names} label_values=[0, 255];"
            " if it is void: void_values=[255]"
        )

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """One sample: paths, and how its files are read."""
        return {**super().get_data_info(idx), **self.formats}
