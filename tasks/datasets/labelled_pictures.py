"""What data sets of pictures with one label each share: seeds, limits, arrays."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from tasks.datasets.errors import DataError
from tasks.datasets.replayable import ReplayableDataset


class LabelledPictures(ReplayableDataset):
    """Pictures with ``gt_label``, whose random transforms can be replayed.

    Args:
        data_root: The folder.
        split: Which part to read, one of :attr:`splits`.
        pipeline: Transforms.
        limit: Use the first pictures of each class only, for trials.
        metainfo: ``classes``, where the config knows them.
        test_mode: Set for evaluation loaders.

    Raises:
        ValueError: Unknown split, or a limit below 1.
    """

    splits: tuple[str, ...] = ("train", "test")

    def __init__(
        self,
        data_root: str,
        split: str,
        pipeline: list | tuple = (),
        limit: int | None = None,
        metainfo: dict | None = None,
        test_mode: bool = False,
    ) -> None:
        if split not in self.splits:
            raise ValueError(
                f"split {split!r} is unknown; choose from {', '.join(self.splits)}"
            )
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1 picture a class, got {limit}")
        self.split = split
        self.limit = limit
        super().__init__(
            data_root=data_root,
            metainfo=metainfo,
            pipeline=list(pipeline),
            test_mode=test_mode,
        )


class PictureArrays(LabelledPictures):
    """Pictures that lie in few large files; all of a split are kept in memory.

    The pipeline gets ``img`` ``(H, W, 3)`` uint8 RGB, read-only, and as ``img_path``
    the name of the file and the picture's place in it. Samples keep the order of the
    files.

    Raises:
        DataError: A file is missing, damaged or another one; the message names it. Or
            ``metainfo`` names other classes.
    """

    @abstractmethod
    def read_arrays(self) -> tuple[list[tuple[str, np.ndarray, np.ndarray]], tuple]:
        """Read and check the files.

        Returns:
            Of each file its name, pictures ``(N, H, W, 3)`` uint8 and labels ``(N,)``;
            and the class names.
        """

    def load_data_list(self) -> list[dict[str, Any]]:
        parts, classes = self.read_arrays()
        wanted = self._metainfo.get("classes")
        if wanted is not None and tuple(wanted) != tuple(classes):
            raise DataError(
                f"'{self.data_root}' has the classes {', '.join(classes[:5])}, ... and "
                f"the config's metainfo {', '.join(wanted[:5])}, ...: the numbers of "
                "these files belong to theirs, in this order; leave metainfo out"
            )
        self._metainfo["classes"] = tuple(classes)
        pictures = [part[1] for part in parts]
        self._pictures = pictures[0] if len(parts) == 1 else np.concatenate(pictures)
        self._pictures.setflags(write=False)
        places = [
            (f"{Path(self.data_root) / name}[{row}]", int(label))
            for name, _, labels in parts
            for row, label in enumerate(labels)
        ]
        seen = [0] * len(classes)
        samples = []
        for row, (path, label) in enumerate(places):
            seen[label] += 1
            if self.limit is None or seen[label] <= self.limit:
                samples.append(dict(img_path=path, gt_label=label, row=row))
        return samples

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """One sample with its picture."""
        info = super().get_data_info(idx)
        info["img"] = self._pictures[info.pop("row")]
        info["ori_shape"] = info["img"].shape[:2]
        return info


def require_file(path: Path, what: str) -> Path:
    """A file of a data set, if it is there.

    Args:
        path: The file.
        what: Where it comes from, for the message.

    Raises:
        DataError: It is not there.
    """
    if not path.is_file():
        raise DataError(
            f"'{path}' does not exist; it comes with {what}. Put it there, or name "
            "another folder with --cfg-options data_root=FOLDER; nothing is downloaded"
        )
    return path
