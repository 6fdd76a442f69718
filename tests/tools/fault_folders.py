"""A small data set in folders with its configs, and one fault of it at a time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fault_run import ROOT
from PIL import Image, PngImagePlugin

SPLITS = ("train", "val")
SIZE = (24, 32)
COLOURS = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
GREY = np.zeros(SIZE, np.uint8)
_CONFIG = '''"""Streets."""

from mmengine.config import read_base

from cmim.models import CMIM

with read_base():
    from ._base_.{task}_model_small import task_model, test_evaluator
    from ._base_.folder_small import test_cfg, test_dataloader, train_dataloader
    from ._base_.runtime import custom_hooks, default_hooks, default_scope, env_cfg
    from ._base_.runtime import log_processor, randomness, sync_bn
    from ._base_.schedule_small import optim_wrapper, param_scheduler, train_cfg

_streets = dict(
    data_root={root!r}, images="images/{{split}}/{{name}}.png", {described}
)
_streets.update({more!r})
train_dataloader.dataset.update(_streets, split="train")
test_dataloader.dataset.update(_streets, split="val")
train_dataloader.update(
    batch_size=4, num_workers=0, persistent_workers=False, prefetch_factor=None
)
train_dataloader.dataset.pipeline[1].update(
    base_size=24, crop_size=(24, 32), scale=(0.8, 1.25)
)
test_dataloader.update(num_workers=0)
test_dataloader.dataset.pipeline[1].update(shorter=24)
task_model.backbone.update(base_channels=8)
task_model.decode_head.update(in_channels=64, channels=8)
train_cfg.update(max_iters=2)
{task_lines}
model = dict(type=CMIM, model=task_model, partner="latent", queue=40, pixels=4)
'''
_DESCRIBED = {
    "seg": 'labels="labels/{split}/{name}.png", '
    'metainfo=dict(classes=["road", "car", "tree"]),',
    "depth": 'depth="depth/{split}/{name}.npy", depth_scale=1.0,',
    "depth_png": 'depth="depth/{split}/{name}.png", depth_scale=0.001,',
}
_TASK = {
    "seg": "task_model.decode_head.update(num_classes=3)",
    "depth": "test_evaluator[0].update(depth_range=(0.5, 80.0))\n"
    "task_model.decode_head.update(depth_range=(0.5, 80.0), typical_depth=10.0)",
}


def write_config(home: Path, kind: str, more: dict[str, Any] | None = None) -> Path:
    """A config of the folder ``home/data``: ``seg``, ``depth`` or ``depth_png``."""
    if not (home / "_base_").exists():
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "configs/_base_", home / "_base_", ignore=ignore)
    task = kind.split("_")[0]
    text = _CONFIG.format(
        task=task,
        root=str(home / "data"),
        described=_DESCRIBED[kind],
        more=more or {},
        task_lines=_TASK[task],
    )
    path = home / f"streets_{kind}.py"
    path.write_text(text)
    return path


def write_folders(home: Path) -> None:
    """Four frames to train on and four to test on, each with labels and depth."""
    random = np.random.default_rng(3)
    for split in SPLITS:
        for number in range(4):
            labels = np.resize(np.uint8([0, 1, 2, 255]), SIZE)
            metres = 2 + random.random(SIZE).astype(np.float32)
            frame = dict(
                images=random.integers(0, 255, (*SIZE, 3)).astype(np.uint8),
                labels=labels,
                depth=(1000 * metres).astype(np.uint16),
            )
            for part, array in frame.items():
                write(home / f"data/{part}/{split}/{number}.png", array)
            np.save(home / f"data/depth/{split}/{number}.npy", metres)
        names = "".join(f"{number}\n" for number in range(4))
        (home / f"data/{split}.txt").write_text(names)


def write(path: Path, array: np.ndarray, **options: Any) -> None:
    """Whatever Pillow cannot hold is OpenCV's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if options or array.dtype != np.uint16:
        Image.fromarray(array).save(path, **options)
    else:
        cv2.imwrite(str(path), array)


Change = Callable[[Path], None]


def each(part: str, change: Change, suffix: str = "png") -> Change:
    """The same fault in the second frame of both splits."""

    def apply(home: Path) -> None:
        for split in SPLITS:
            change(home / f"data/{part}/{split}/1.{suffix}")

    return apply


def every(part: str, change: Change, suffix: str = "png") -> Change:
    """The same fault in all frames."""

    def apply(home: Path) -> None:
        for split in SPLITS:
            for path in sorted((home / f"data/{part}/{split}").glob(f"*.{suffix}")):
                change(path)

    return apply


def holds(data: bytes) -> Change:
    return lambda path: _nothing(path.write_bytes(data))


def picture(array: np.ndarray, **options: Any) -> Change:
    return lambda path: write(path, array, **options)


def numbers(value: int, kind: type = np.uint8) -> Change:
    """All classes, and a pixel of this value."""

    def change(path: Path) -> None:
        array = np.resize(np.array([0, 1, 2, 255], kind), SIZE)
        array[3, 4] = value
        write(path, array)

    return change


def array(values: Any) -> Change:
    return lambda path: np.save(path, values, allow_pickle=True)


def metres(value: float, kind: type = np.float32, share: float = 0.01) -> Change:
    """Three metres, and another value at the first pixels."""

    def change(path: Path) -> None:
        values = np.full(SIZE, 3, kind)
        values.ravel()[: int(np.ceil(share * values.size))] = value
        np.save(path, values)

    return change


def millimetres(value: int) -> Change:
    def change(path: Path) -> None:
        values = np.full(SIZE, 3000, np.uint16)
        values[0, 0] = value
        write(path, values)

    return change


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def gone(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def closed(path: Path) -> None:
    path.chmod(0)


def linked(target: str) -> Change:
    def change(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return change


def moved(path: Path) -> None:
    """The file lies elsewhere, and a link in its place."""
    place = path.parents[2] / f"elsewhere_{path.parent.name}_{path.name}"
    path.rename(place)
    path.symlink_to(place)


def turned(path: Path) -> None:
    """Stored upside down, as EXIF says."""
    exif = Image.Exif()
    exif[274] = 3
    with Image.open(path) as image:
        image.copy().save(path, exif=exif)


def frames(path: Path) -> None:
    with Image.open(path) as image:
        first = image.convert("RGB")
    first.save(path, save_all=True, append_images=[first.rotate(90, expand=False)])


def transparent(path: Path) -> None:
    with Image.open(path) as image:
        bands = image.convert("RGBA")
    bands.putalpha(Image.new("L", bands.size, 100))
    bands.save(path)


def lossy(path: Path) -> None:
    with Image.open(path) as image:
        image.convert("L").save(path, format="JPEG")


def deep(path: Path) -> None:
    write_deep = np.full((*SIZE, 3), 3000, np.uint16)
    cv2.imwrite(str(path), write_deep)


def noted(path: Path) -> None:
    """A text chunk more, which changes no pixel."""
    note = PngImagePlugin.PngInfo()
    note.add_text("note", "mine")
    with Image.open(path) as image:
        image.copy().save(path, pnginfo=note)


def text(name: str, content: bytes) -> Change:
    """Another list of frames, of both splits."""

    def apply(home: Path) -> None:
        for split in SPLITS:
            (home / f"data/{split}.txt").write_bytes(content)

    return apply


def _nothing(value: Any) -> None:
    """Changes return nothing."""
