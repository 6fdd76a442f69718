"""Small data sets in folders, for tests."""

import cv2
import numpy as np

from tasks.datasets.dense_folder import DenseFolderDataset

CLASSES = dict(classes=["road", "car"])


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".txt":
        path.write_text(array)
    else:
        cv2.imwrite(str(path), array)


def frame(root, image, labels=None, depth=None, size=(4, 6), values=(0, 1, 255)):
    """Write the files of one frame."""
    write(root / image, np.full((*size, 3), 90, np.uint8))
    if labels:
        values = np.resize(np.array(values, np.uint8), size)
        write(root / labels, values)
    if depth:
        metres = np.resize(np.array([1500, 0, 2500], np.uint16), size)
        write(root / depth, metres)


def plain(root, count=3, split="train", **options):
    for number in range(count):
        places = (f"images/{split}/{number}.jpg", f"labels/{split}/{number}.png")
        frame(root, *places, f"depth/{split}/{number}.png", **options)


SEG = dict(images="images/{split}/{name}.jpg", labels="labels/{split}/{name}.png")
DEPTH = dict(images="images/{split}/{name}.jpg", depth="depth/{split}/{name}.png")


def build(root, description=SEG, split="train", **options):
    described = {**description, "metainfo": CLASSES, **options}
    return DenseFolderDataset(str(root), split=split, **described)
