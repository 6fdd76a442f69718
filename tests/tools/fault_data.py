"""Faults of data in folders: what is done, the config, and what the tools say."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import fault_depth
import fault_folders as f
import numpy as np

LISTED = dict(names="{split}.txt")


def _palettes(home: Path) -> None:
    from PIL import Image

    for split in f.SPLITS:
        for number, colours in enumerate(([255, 0, 0, 0, 255, 0], [0, 255, 0] * 2)):
            image = Image.fromarray(np.resize(np.uint8([0, 1]), f.SIZE)).convert("P")
            image = Image.frombytes("P", image.size, image.tobytes())
            image.putpalette(colours)
            image.save(home / f"data/labels/{split}/{number}.png")


def _folder(part: str, change: str):
    def apply(home: Path) -> None:
        folders = [home / f"data/{part}/{split}" for split in f.SPLITS]
        for folder in folders:
            if change == "gone":
                shutil.rmtree(folder)
            elif change == "empty":
                [path.unlink() for path in folder.iterdir()]
            elif change == "closed":
                folder.chmod(0)
            elif change == "a file":
                shutil.rmtree(folder)
                folder.write_text("no")
            else:
                shutil.rmtree(folder)
                folder.symlink_to(folder.name)

    return apply


def _below(closed: bool):
    """More frames in a folder below, that may be read or not."""

    def apply(home: Path) -> None:
        for split in f.SPLITS:
            for part in ("images", "labels"):
                folder = home / f"data/{part}/{split}"
                shutil.copytree(folder, folder / "more")
                if closed:
                    (folder / "more").chmod(0)

    return apply


def _named(name: str):
    """A frame of this name in place of the second."""

    def apply(home: Path) -> None:
        for split in f.SPLITS:
            for part in ("images", "labels"):
                path = home / f"data/{part}/{split}/1.png"
                path.rename(path.with_name(f"{name}.png"))

    return apply


def _twice(home: Path) -> None:
    for split in f.SPLITS:
        path = home / f"data/images/{split}/1.png"
        shutil.copy(path, path.with_suffix(".bmp"))


def _root(change: str):
    def apply(home: Path) -> None:
        shutil.rmtree(home / "data")
        if change == "a file":
            (home / "data").write_text("no")
        elif change == "empty":
            (home / "data").mkdir()
        elif change == "a loop":
            (home / "data").symlink_to("data")

    return apply


def _listed(content: bytes):
    return f.text("names", content)


# Kind of config, changes of it, what is done, words of every tool that reads the data.
REFUSED: dict[str, tuple[str, dict[str, Any], Any, str]] = {
    "labels gone": ("seg", {}, f.each("labels", f.gone), "1 of 4 frames|labels/"),
    "labels empty": ("seg", {}, f.each("labels", f.holds(b"")), "1.png|is empty"),
    "labels text": ("seg", {}, f.each("labels", f.holds(b"0 1 2")), "1.png|decoded"),
    "labels lossy": ("seg", {}, f.each("labels", f.lossy), "1.png|JPEG|PNG"),
    "labels small": (
        "seg",
        {},
        f.each("labels", f.picture(f.GREY[:-1])),
        "1.png|23x32|24x32",
    ),
    "labels coloured": (
        "seg",
        {},
        f.each("labels", f.picture(f.COLOURS)),
        "1.png|coloured",
    ),
    "labels of a class too many": (
        "seg",
        {},
        f.each("labels", f.numbers(3)),
        "1.png|values 3",
    ),
    "labels far out": (
        "seg",
        {},
        f.each("labels", f.numbers(200)),
        "1.png|values 200",
    ),
    "labels of 16 bits": (
        "seg",
        {},
        f.each("labels", f.numbers(3000, np.uint16)),
        "1.png|values 3000",
    ),
    "labels of floats": (
        "seg",
        {},
        f.each("labels", f.picture(f.GREY + np.float32(0.5), format="TIFF")),
        "1.png|float32",
    ),
    "labels all void": (
        "seg",
        {},
        f.every("labels", f.picture(f.GREY + np.uint8(255))),
        "all 4 frames|void",
    ),
    "labels transparent": (
        "seg",
        {
            "label_values": [[0, 0, 0], [1, 1, 1], [2, 2, 2]],
            "void_values": [[255, 255, 255]],
        },
        f.each("labels", f.transparent),
        "1.png|transparency",
    ),
    "labels of two frames": ("seg", {}, f.each("labels", f.frames), "1.png|2 frames"),
    "labels turned": ("seg", {}, f.each("labels", f.turned), "1.png|EXIF"),
    "labels of other palettes": ("seg", {}, _palettes, "palette|ignore_palettes"),
    "labels a folder": ("seg", {}, f.each("labels", f.a_folder), "1 of 4 frames"),
    "labels a dangling link": (
        "seg",
        {},
        f.each("labels", f.linked("nowhere.png")),
        "1.png|not exist",
    ),
    "labels a loop": ("seg", {}, f.each("labels", f.linked("1.png")), "1.png"),
    "labels a pipe": ("seg", {}, f.each("labels", f.a_pipe), "1.png|not exist"),
    "labels closed": ("seg", {}, f.each("labels", f.closed), "1.png|ermission denied"),
    "labels the picture": (
        "seg",
        {},
        f.each("labels", f.linked("../../images/train/1.png")),
        "1.png|coloured",
    ),
    "picture gone": ("seg", {}, f.each("images", f.gone), "1 of 4 frames|images/"),
    "picture empty": ("seg", {}, f.each("images", f.holds(b"")), "1.png"),
    "picture text": ("seg", {}, f.each("images", f.holds(b"<html>")), "1.png"),
    "picture of 16 bits": ("seg", {}, f.each("images", f.deep), "1.png|image_white"),
    "picture transparent": (
        "seg",
        {},
        f.each("images", f.transparent),
        "1.png|fourth band",
    ),
    "picture of two frames": ("seg", {}, f.each("images", f.frames), "1.png|2 frames"),
    "picture turned": ("seg", {}, f.each("images", f.turned), "1.png|EXIF"),
    "picture a folder": ("seg", {}, f.each("images", f.a_folder), "1 of 4 frames"),
    "picture a dangling link": (
        "seg",
        {},
        f.each("images", f.linked("nowhere.png")),
        "1.png|not exist",
    ),
    "picture a pipe": ("seg", {}, f.each("images", f.a_pipe), "1.png|not exist"),
    "picture closed": ("seg", {}, f.each("images", f.closed), "1.png|ermission denied"),
    "pictures of one name": (
        "seg",
        {"images": "images/{split}/{name}.*"},
        _twice,
        "1.bmp|1.png|same name",
    ),
    "pictures gone": ("seg", {}, _folder("images", "gone"), "images/|does not exist"),
    "pictures empty": ("seg", {}, _folder("images", "empty"), "no file|images/"),
    "pictures closed": ("seg", {}, _folder("images", "closed"), "ermission denied"),
    "pictures a file": ("seg", {}, _folder("images", "a file"), "images/|not exist"),
    "pictures a loop": ("seg", {}, _folder("images", "a loop"), "images/"),
    "labels empty folder": ("seg", {}, _folder("labels", "empty"), "no file|labels/"),
    "a folder below closed": ("seg", {}, _below(True), "more|ermission denied"),
    "a name that is no text": ("seg", {}, _named("1\udcff"), "UTF-8|rename"),
    "root gone": ("seg", {}, _root("gone"), "data' does not exist"),
    "root a file": ("seg", {}, _root("a file"), "data"),
    "root empty": ("seg", {}, _root("empty"), "images/|does not exist"),
    "root a loop": ("seg", {}, _root("a loop"), "data"),
    "list gone": ("seg", {"names": "no_{split}.txt"}, _listed(b""), "does not exist"),
    "list empty": ("seg", LISTED, _listed(b"\n\n"), "is empty"),
    "list of a name twice": ("seg", LISTED, _listed(b"0\n1\n1\n"), "twice: 1"),
    "list of bytes": ("seg", LISTED, _listed(b"0\n\xff\xfe\n"), "UTF-8"),
    "list in UTF-16": ("seg", LISTED, _listed("0\n1\n".encode("utf-16")), "UTF-8"),
    "list of a stranger": ("seg", LISTED, _listed(b"0\n9\n"), "1 of 2 frames|9"),
    "list of files": ("seg", LISTED, _listed(b"0.png\n1.png\n"), "here '0'"),
    "list of paths": ("seg", LISTED, _listed(b"../val/0\n"), "1 of 1 frames"),
    "list of NUL": ("seg", LISTED, _listed(b"0\n\0\n"), "1 of 2 frames"),
    "list a folder": ("seg", {"names": "images"}, _listed(b""), "images' does not"),
    **fault_depth.REFUSED,
}


def _same(home: Path) -> None:
    """Nothing."""


# Odd, and right: the same figures as without.
ACCEPTED: dict[str, tuple[str, dict[str, Any], Any]] = {
    "labels linked": ("seg", {}, f.each("labels", f.moved)),
    "picture linked": ("seg", {}, f.each("images", f.moved)),
    "picture with a note": ("seg", {}, f.each("images", f.noted)),
    "labels with a note": ("seg", {}, f.each("labels", f.noted)),
    "labels of 16 bits": ("seg", {}, f.each("labels", f.numbers(0, np.uint16))),
    "a name with a space": ("seg", {}, _named("1 2")),
    "a name of two lines": ("seg", {}, _named("1\n2")),
    "a name with brackets": ("seg", {}, _named("1[2]{3}%s")),
    "a name with umlauts": ("seg", {}, _named("1äöü")),
    "a name of 200 letters": ("seg", {}, _named("1" * 200)),
    "a list": ("seg", LISTED, _same),
    "a list of Windows": ("seg", LISTED, _listed(b"\xef\xbb\xbf0\r\n1\r\n2\r\n3\r\n")),
    "depth in big endian": (
        "depth",
        {},
        f.each("depth", lambda p: np.save(p, np.load(p).astype(">f4")), "npy"),
    ),
    "depth by columns": (
        "depth",
        {},
        f.each("depth", lambda p: np.save(p, np.asfortranarray(np.load(p))), "npy"),
    ),
    "depth in float64": (
        "depth",
        {},
        f.each("depth", lambda p: np.save(p, np.load(p).astype("f8")), "npy"),
    ),
}
# NaN and infinity say "unknown", as 0 does.
UNKNOWN = {
    name: f.each("depth", f.metres(value), "npy")
    for name, value in (("zero", 0.0), ("NaN", np.nan), ("inf", np.inf))
}
