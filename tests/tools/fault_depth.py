"""Faults of depth files: what is done, and what the tools say."""

from __future__ import annotations

from typing import Any

import fault_folders as f
import numpy as np

# Kind of config, changes of it, what is done, words of every tool that reads the data.
REFUSED: dict[str, tuple[str, dict[str, Any], Any, str]] = {
    "depth gone": (
        "depth",
        {},
        f.each("depth", f.gone, "npy"),
        "1 of 4 frames|depth/",
    ),
    "depth of bytes": (
        "depth",
        {},
        f.each("depth", f.array(f.GREY), "npy"),
        "1.npy|uint8",
    ),
    "depth small": (
        "depth",
        {},
        f.each("depth", f.array(np.ones((24, 31))), "npy"),
        "1.npy|24x31",
    ),
    "depth of three bands": (
        "depth",
        {},
        f.each("depth", f.array(np.ones((24, 32, 3))), "npy"),
        "1.npy|one channel",
    ),
    "depth below zero": (
        "depth",
        {},
        f.each("depth", f.metres(-1), "npy"),
        "1.npy|negative|depth_void_values",
    ),
    "depth below zero, whole": (
        "depth",
        {},
        f.each("depth", f.metres(-1, np.int64), "npy"),
        "1.npy|negative",
    ),
    "depth far out": (
        "depth",
        {},
        f.each("depth", f.metres(1e10), "npy"),
        "1.npy|farther",
    ),
    "depth beyond float32": (
        "depth",
        {},
        f.each("depth", f.metres(1e300, np.float64), "npy"),
        "1.npy|farther",
    ),
    "depth in millimetres": (
        "depth",
        {},
        f.each("depth", f.metres(3000, share=1), "npy"),
        "1.npy|depth_scale",
    ),
    "depth all NaN": (
        "depth",
        {},
        f.every("depth", f.metres(np.nan, share=1), "npy"),
        "all 4 frames|no pixel is known",
    ),
    "depth all zero": (
        "depth",
        {},
        f.every("depth", f.metres(0, share=1), "npy"),
        "all 4 frames|no pixel is known",
    ),
    "depth complex": (
        "depth",
        {},
        f.each("depth", f.array(np.ones(f.SIZE) + 1j), "npy"),
        "1.npy|complex",
    ),
    "depth of truths": (
        "depth",
        {},
        f.each("depth", f.array(np.ones(f.SIZE, bool)), "npy"),
        "1.npy|bool",
    ),
    "depth of objects": (
        "depth",
        {},
        f.each("depth", f.array(np.array([[{}]])), "npy"),
        "1.npy",
    ),
    "depth of dates": (
        "depth",
        {},
        f.each("depth", f.array(np.zeros(f.SIZE, "M8[s]")), "npy"),
        "1.npy",
    ),
    "depth of nothing": (
        "depth",
        {},
        f.each("depth", f.array(np.zeros((0, 0))), "npy"),
        "1.npy",
    ),
    "depth cut": ("depth", {}, f.each("depth", f.cut, "npy"), "1.npy|header says"),
    "depth empty": ("depth", {}, f.each("depth", f.holds(b""), "npy"), "1.npy"),
    "depth text": ("depth", {}, f.each("depth", f.holds(b"3.0 3.0"), "npy"), "1.npy"),
    "depth closed": (
        "depth",
        {},
        f.each("depth", f.closed, "npy"),
        "1.npy|ermission denied",
    ),
    "depth of 65535": (
        "depth_png",
        {},
        f.each("depth", f.millimetres(65535)),
        "1.png|65535|depth_void_values",
    ),
    "depth picture of 8 bits": (
        "depth_png",
        {},
        f.each("depth", f.picture(f.GREY + np.uint8(9))),
        "1.png|uint8",
    ),
    "depth picture of colours": (
        "depth_png",
        {},
        f.each("depth", f.picture(f.COLOURS)),
        "1.png|one channel",
    ),
    "depth picture empty": ("depth_png", {}, f.each("depth", f.holds(b"")), "1.png"),
    "depth picture a folder": (
        "depth_png",
        {},
        f.each("depth", f.a_folder),
        "1 of 4 frames",
    ),
    "depth picture of two frames": (
        "depth_png",
        {},
        f.each("depth", f.frames),
        "1.png",
    ),
}
