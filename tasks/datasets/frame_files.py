"""Reading a frame's picture, labels and depth from files of a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.datasets.errors import DataError
from tasks.datasets.label_format import LabelFormat
from tasks.datasets.npy_file import read_npy
from tasks.picture_decoder import decode
from tasks.picture_files import orientation, read_picture
from tasks.whole_file import read_whole

# Depths beyond these are no scene that a camera sees: the scale must be wrong.
PLAUSIBLE = (0.01, 1000.0)
# Single pixels may be farther than most; rendered depth has 1e10 where nothing is.
FARTHEST = 10_000.0


def read_depth(
    path: str | Path, scale: float, void: Sequence[float] | None = None
) -> NDArray[np.float32]:
    """Depth in metres, 0 where unknown (0, NaN or infinite in the file).

    Args:
        path: PNG or TIFF of 16 bits or floats, or ``.npy`` of integers or floats.
        scale: Metres per unit of the file.
        void: Further values of the file that say "unknown", for example 65535. When
            None, the largest whole number that the file can hold is asked about.

    Returns:
        ``(H, W)`` float32.

    Raises:
        DataError: Missing, damaged, of another shape or type, negative, of a scale that
            no scene has, or with a value that looks like "unknown"; the message names
            the file.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "0.npy"
        >>> np.save(path, np.array([[3, 0]], np.uint16))
        >>> read_depth(path, scale=0.5).tolist()
        [[1.5, 0.0]]
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"depth '{path}' does not exist; the data set is incomplete")
    stored = _stored_depth(path)
    if stored.ndim != 2 or stored.dtype.kind not in "uif":
        raise DataError(
            f"depth '{path}' is {stored.dtype} of shape {stored.shape}, expected one "
            "channel of numbers, (H, W); a coloured picture of depth is not depth"
        )
    if stored.dtype == np.uint8:
        raise DataError(
            f"depth '{path}' is uint8: 256 steps are a picture of depth, not depth; "
            "save uint16 (for example millimetres) or .npy (metres)"
        )
    with np.errstate(over="ignore"):
        metres = stored.astype(np.float32) * np.float32(scale)
    if void is None:
        _ask_about_largest(stored, path)
    # Of the file: what float32 cannot hold is far, and not unknown.
    known = np.isfinite(stored) & ~np.isin(stored, list(void or ()))
    metres = np.where(known, metres, np.float32(0))
    if metres.size and metres.min() < 0:
        raise DataError(
            f"depth '{path}' is negative at {int((metres < 0).sum())} pixels, expected "
            "distances; name what else than 0 says unknown: depth_void_values=[-1]"
        )
    _check_scale(metres, scale, path)
    return metres


def _stored_depth(path: Path) -> NDArray:
    if path.suffix.lower() == ".npy":
        try:
            return read_npy(path)
        except (ValueError, OSError, EOFError) as error:
            raise DataError(f"depth '{path}' cannot be read ({error})") from error
    try:
        return decode(read_whole(path), path, cv2.IMREAD_UNCHANGED)
    except DataError as error:
        raise DataError(
            f"depth {error}; depth is read from PNG, TIFF (16 bits or floats) and .npy"
        ) from error


def _ask_about_largest(stored: NDArray, path: Path) -> None:
    """65535 is "unknown" for some sensors, and for others the farthest they see."""
    if stored.dtype.kind == "f" or not stored.size:
        return
    most = int(np.iinfo(stored.dtype).max)
    count = int((stored == most).sum())
    if count:
        raise DataError(
            f"depth '{path}' is {most}, the largest number that it can hold, at "
            f"{count} of {stored.size} pixels. If that says unknown: depth_void_values="
            f"[{most}]; if it is a distance: depth_void_values=[]"
        )


def _check_scale(metres: NDArray, scale: float, path: Path) -> None:
    known = metres[metres > 0]
    low, high = PLAUSIBLE
    if known.size and not low <= float(np.median(known)) <= high:
        raise DataError(
            f"depth '{path}' is {known.min():.3g} to {known.max():.3g} metres with "
            f"depth_scale {scale:g}; give the metres per unit of the file, for example "
            "0.001 for millimetres, 1.0 for metres"
        )
    if known.size and known.max() > FARTHEST:
        far = known > FARTHEST
        raise DataError(
            f"depth '{path}' is {known.max():.3g} metres at {int(far.sum())} pixels, "
            "farther than anything a camera measures: name the values of the files "
            f"that say unknown, depth_void_values=[{known.max() / scale:g}], or save "
            "them as 0"
        )


def read_frame(info: dict[str, Any]) -> dict[str, NDArray]:
    """Read everything a sample has, checked.

    Args:
        info: ``img_path``; ``seg_map_path`` and ``label_format``, ``depth_path``,
            ``depth_scale`` and ``depth_void`` where there are labels and depth;
            ``image_channels`` and ``image_white`` where the pictures are no RGB of 8
            bits (:func:`tasks.picture_files.read_picture`); ``extra_path`` where the
            fourth band lies in a file of its own.

    Returns:
        ``img`` ``(H, W, C)`` uint8; ``gt_seg_map`` ``(H, W)`` uint8, 255 void;
        ``gt_depth_map`` ``(H, W)`` float32 metres, 0 unknown.

    Raises:
        DataError: See :func:`read_depth` and :meth:`LabelFormat.read`; or sizes differ,
            or the picture is turned by its EXIF entry, so that it is unknown whether
            the maps are, too.
    """
    frame: dict[str, NDArray] = {"img": _read_image(info)}
    _check_upright(frame["img"], info["img_path"])
    if "seg_map_path" in info:
        label_format: LabelFormat = info["label_format"]
        frame["gt_seg_map"] = label_format.read(info["seg_map_path"])
        _check_size(frame["gt_seg_map"], info["seg_map_path"], frame["img"], info)
    if "depth_path" in info:
        frame["gt_depth_map"] = read_depth(
            info["depth_path"], info["depth_scale"], info["depth_void"]
        )
        _check_size(frame["gt_depth_map"], info["depth_path"], frame["img"], info)
    return frame


def _read_image(info: dict[str, Any]) -> NDArray[np.uint8]:
    white = info.get("image_white")
    if "extra_path" not in info:
        return read_picture(info["img_path"], info.get("image_channels"), white)
    image = read_picture(info["img_path"], None, white)
    extra = read_picture(info["extra_path"], 1, white)
    _check_size(extra[..., 0], info["extra_path"], image, info)
    return np.dstack([image, extra])


def _check_size(array: NDArray, path: str, image: NDArray, info: dict) -> None:
    if array.shape != image.shape[:2]:
        raise DataError(
            f"'{path}' has {array.shape[0]}x{array.shape[1]} pixels, its picture "
            f"'{info['img_path']}' {image.shape[0]}x{image.shape[1]} (rows x columns); "
            f"both must agree{_turned(info['img_path'])}"
        )


def _turned(path: str) -> str:
    number = orientation(path)
    if number == 1:
        return ""
    return (
        f". The picture is turned when it is read (EXIF orientation {number}): if its "
        "labels or depth are not, save it as it is stored, without EXIF"
    )


def _check_upright(image: NDArray, path: str) -> None:
    """Sizes tell whether maps are turned like the picture, except by half a turn."""
    number = orientation(path)
    quarter = number >= 5
    if number != 1 and not (quarter and image.shape[0] != image.shape[1]):
        raise DataError(
            f"'{path}' is turned or mirrored when it is read (EXIF orientation "
            f"{number}), and its size does not tell whether its labels or depth are; "
            "save the picture the way they are, without EXIF"
        )
