"""Labelled pictures in one folder a class: CIFAR-10, ImageNet, one's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from tasks.datasets.errors import DataError
from tasks.datasets.labelled_pictures import LabelledPictures
from tasks.datasets.name_patterns import check_name, files_below, some

SPLITS = ("train", "val", "test")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
# Pictures that are not read; leaving them out would be silent.
_OTHERS = (".avif", ".heic", ".heif", ".jfif", ".jpe", ".jp2", ".jxl", ".mpo", ".npy")
_RAW = (".ppm", ".pgm", ".raw", ".dng", ".cr2", ".nef", ".tga", ".svg", ".psd")
UNREAD = (*_OTHERS, *_RAW)


@DATASETS.register_module()
class ImageFolderDataset(LabelledPictures):
    """Pictures ``data_root/SPLIT/CLASS/*``; the folder is the class.

    They are JPEG, PNG, WebP, BMP, TIFF or GIF of one frame. Pictures of other kinds, or
    that lie above or below the class folders, are refused and not left out.

    Classes are numbered in the order of their sorted names, samples are sorted by
    class and file name. Every split of the folder that has classes must have the same.

    Args:
        data_root: The folder.
        split: ``'train'``, ``'val'`` or ``'test'``: the sub-folder to read.
        pipeline: Transforms; the first is usually ``LoadImage``.
        limit: Use the first pictures of each class only, for trials.
        metainfo: ``classes``, where the config knows them: the folders must have these
            names; their order numbers them.
        test_mode: Set for evaluation loaders.

    Raises:
        DataError: A folder is missing or has no class, a class has no picture, pictures
            would be left out, or the classes are not those of the other splits or of
            ``metainfo``.
    """

    splits = SPLITS

    def load_data_list(self) -> list[dict[str, Any]]:
        root = Path(self.data_root)
        classes = self._classes(root)
        self._metainfo["classes"] = classes
        samples = []
        for label, name in enumerate(classes):
            folder = root / self.split / name
            for picture in _pictures(folder)[: self.limit]:
                samples.append(dict(img_path=str(folder / picture), gt_label=label))
        return samples

    def _classes(self, root: Path) -> tuple[str, ...]:
        """Class names in the order of their labels, checked."""
        if not (root / self.split).is_dir():
            raise DataError(
                f"data set folder '{root / self.split}' does not exist; make it with "
                f"tools/prepare_cifar10.py, put pictures into {root}/SPLIT/CLASS/, or "
                "name another with --cfg-options data_root=FOLDER"
            )
        found = _sub_folders(root / self.split)
        loose = [f for f in _files(root / self.split) if _is_picture(f)]
        if found and loose:
            raise DataError(
                f"{len(loose)} pictures lie beside the class folders of "
                f"'{root / self.split}' and belong to no class: {some(loose)}; move "
                "them into the folder of their class, or out of the data set"
            )
        if not found:
            raise DataError(
                f"data set folder '{root / self.split}' has no sub-folders; expected "
                "one a class, with its pictures"
            )
        for other in SPLITS:
            # A split without any folder has no labels, as ImageNet's test pictures.
            if other != self.split and (root / other).is_dir():
                _check_same(found, _sub_folders(root / other) or found, root / other)
        wanted = self._metainfo.get("classes")
        if wanted is None:
            return tuple(found)
        _check_same(found, sorted(wanted), "the classes of the config (metainfo)")
        return tuple(wanted)


def _sub_folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            e.name for e in entries if e.is_dir() and not e.name.startswith(".")
        )


def _files(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            e.name for e in entries if not e.is_dir() and not e.name.startswith(".")
        )


def _is_picture(name: str) -> bool:
    return name.lower().endswith((*SUFFIXES, *UNREAD))


def _pictures(folder: Path) -> list[str]:
    files = _files(folder)
    names = [name for name in files if name.lower().endswith(SUFFIXES)]
    for name in names:
        check_name(folder / name)
    unread = [n for n in files if n not in names and _is_picture(n)]
    if unread:
        raise DataError(
            f"{len(unread)} pictures of '{folder}' are of a kind that is not read: "
            f"{some(unread)}; save them as one of {', '.join(SUFFIXES)}, or move them "
            "out of the data set"
        )
    nested = [
        f"{below}/{name}"
        for below in _sub_folders(folder)
        for name in find_pictures(folder / below)
    ]
    if nested:
        raise DataError(
            f"{len(nested)} pictures lie in folders below the class folder '{folder}': "
            f"{some(nested)}; move them into it if they are of this class, or make "
            "each of these folders a class beside it"
        )
    if not names:
        raise DataError(
            f"class folder '{folder}' has no picture; expected {', '.join(SUFFIXES)}, "
            "or delete the folder"
        )
    return names


def find_pictures(folder: Path) -> list[str]:
    """Relative paths of all pictures in a folder and below it, sorted.

    Examples:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "a").mkdir(); (root / "a/1.JPG").touch(); (root / "b.txt").touch()
        >>> find_pictures(root)
        ['a/1.JPG']
    """
    return sorted(name for name in files_below(folder) if _is_picture(name))


def _check_same(found: list[str], other: list[str], where: object) -> None:
    if found == other:
        return
    differ = sorted(set(found) ^ set(other))
    raise DataError(
        f"the {len(found)} class folders differ from the {len(other)} of {where}: "
        f"{', '.join(differ[:5])} {'is' if len(differ) == 1 else 'are'} in one of them "
        "only; every split needs the same classes"
    )
