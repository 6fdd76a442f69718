"""Maps and images as pictures people look at; reading and writing pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from cmim.whole_output import whole_output
from tasks.datasets.errors import DataError
from tasks.datasets.nyu40 import NYU40_CLASSES, NYU40_PALETTE
from tasks.picture_files import read_picture

VOID = 255


def colour_classes(
    classes: np.ndarray, palette: Sequence[Sequence[int]] = NYU40_PALETTE
) -> np.ndarray:
    """Class map to RGB, void black.

    Args:
        classes: ``(H, W)`` integers 0 to K - 1, 255 void.
        palette: K RGB triples.

    Returns:
        ``(H, W, 3)`` uint8.

    Examples:
        >>> colour_classes(np.array([[0, 255]]), [(9, 8, 7)]).tolist()
        [[[9, 8, 7], [0, 0, 0]]]
    """
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = np.asarray(palette, np.uint8)
    return table[classes.astype(np.uint8)]


def palette_of(count: int) -> list[tuple[int, ...]]:
    """Colours to tell classes apart by, none of them black.

    Up to 40 they are those of NYUv2's classes. For more, the bits of the class number
    are spread over the channels, as in the palette of PASCAL VOC.

    Args:
        count: Number of classes, at most 255.

    Examples:
        >>> palette_of(2) == [tuple(c) for c in NYU40_PALETTE[:2]]
        True
        >>> palette_of(41)[:3], len(set(palette_of(255)))
        ([(128, 0, 0), (0, 128, 0), (128, 128, 0)], 255)
    """
    if count <= len(NYU40_PALETTE):
        return [tuple(colour) for colour in NYU40_PALETTE[:count]]
    numbers = np.arange(1, count + 1)
    channels = [
        sum(((numbers >> (3 * bit + c)) & 1) << (7 - bit) for bit in range(3))
        for c in range(3)
    ]
    return [tuple(colour) for colour in np.stack(channels, axis=1).tolist()]


def colour_depth(
    metres: np.ndarray, near: float | None = None, far: float | None = None
) -> np.ndarray:
    """Depth to RGB, near red and far blue, unknown black.

    Args:
        metres: ``(H, W)``; 0 or not finite is unknown.
        near: Depth shown in the nearest colour; the smallest known when None.
        far: Depth shown in the farthest colour; the largest known when None.

    Returns:
        ``(H, W, 3)`` uint8.

    Examples:
        >>> colour_depth(np.array([[0.0, 1.0, 2.0]])).shape
        (1, 3, 3)
    """
    known = np.isfinite(metres) & (metres > 0)
    if not known.any():
        return np.zeros((*metres.shape, 3), np.uint8)
    near = float(metres[known].min()) if near is None else near
    far = float(metres[known].max()) if far is None else far
    share = (far - np.where(known, metres, far)) / max(far - near, 1e-6)
    levels = (np.clip(share, 0, 1) * 255).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[..., ::-1].copy()
    colours[~known] = 0
    return colours


def overlay_classes(
    image: np.ndarray,
    classes: np.ndarray,
    names: Sequence[str] = NYU40_CLASSES,
    palette: Sequence[Sequence[int]] = NYU40_PALETTE,
) -> np.ndarray:
    """Blend a class map over its image and name the largest classes beside it.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        classes: ``(H, W)`` integers, 255 void.
        names: Name of each class.
        palette: RGB triple of each class.

    Returns:
        ``(H, W + legend, 3)`` uint8.
    """
    colours = colour_classes(classes, palette)
    blended = cv2.addWeighted(image, 0.45, colours, 0.55, 0)
    height = image.shape[0]
    legend = np.full((height, max(150, height // 4), 3), 255, np.uint8)
    ids, counts = np.unique(classes[classes != VOID], return_counts=True)
    row = 22
    largest = ids[np.argsort(-counts)][: max(1, height // row - 1)]
    for place, k in enumerate(largest):
        top = 6 + row * place
        colour = tuple(int(c) for c in palette[k])
        cv2.rectangle(legend, (6, top), (20, top + 14), colour, -1)
        _write(legend, names[k], (26, top + 12))
    return np.hstack([blended, legend])


def depth_with_scale(metres: np.ndarray) -> np.ndarray:
    """Colour a depth map and put a scale in metres beside it.

    Args:
        metres: ``(H, W)``.

    Returns:
        ``(H, W + 80, 3)`` uint8.
    """
    near, far = float(metres.min()), float(metres.max())
    height = metres.shape[0]
    ramp = np.linspace(near, far, height)[:, None].repeat(18, axis=1)
    scale = np.full((height, 80, 3), 255, np.uint8)
    scale[:, 6:24] = colour_depth(ramp, near, far)
    _write(scale, f"{near:.1f} m", (28, 14))
    _write(scale, f"{far:.1f} m", (28, height - 6))
    return np.hstack([colour_depth(metres, near, far), scale])


def colour_normals(normals: np.ndarray) -> np.ndarray:
    """Normals to RGB: red right, green up, blue towards the camera; unknown black.

    Args:
        normals: ``(H, W, 3)`` unit vectors right, down, forward; zero is unknown.

    Returns:
        ``(H, W, 3)`` uint8.

    Examples:
        >>> ahead, unknown = [0.0, 0.0, -1.0], [0.0, 0.0, 0.0]
        >>> colour_normals(np.array([[ahead, unknown]])).tolist()
        [[[128, 128, 255], [0, 0, 0]]]
    """
    known = np.square(normals).sum(axis=-1, keepdims=True) > 0.25
    shown = (normals * np.array([1, -1, -1]) + 1) * 127.5
    return np.where(known, np.rint(np.clip(shown, 0, 255)), 0).astype(np.uint8)


def overlay_edges(image: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Paint edges red over a paler image, the stronger the likelier.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        share: ``(H, W)`` probability of an edge.

    Returns:
        ``(H, W, 3)`` uint8.

    Examples:
        >>> black = np.zeros((1, 2, 3), np.uint8)
        >>> overlay_edges(black, np.array([[1.0, 0.0]])).tolist()
        [[[255, 0, 0], [128, 128, 128]]]
    """
    opacity = np.nan_to_num(share)[..., None]
    red = np.array([255.0, 0.0, 0.0])
    mixed = opacity * red + (1 - opacity) * (0.5 * image + 127.5)
    return np.rint(mixed).astype(np.uint8)


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str]
) -> np.ndarray:
    """Equal pictures in a grid under column titles.

    Args:
        rows: Rows of RGB pictures; all are resized to the first one.
        titles: One per column.

    Returns:
        ``(H, W, 3)`` uint8.

    Examples:
        >>> cell = np.zeros((10, 20, 3), np.uint8)
        >>> contact_sheet([[cell, cell], [cell, cell]], ["a", "b"]).shape
        (52, 44, 3)
    """
    height, width = rows[0][0].shape[:2]
    sheet = np.full(
        (24 + (height + 4) * len(rows), (width + 4) * len(titles) - 4, 3), 255, np.uint8
    )
    for column, title in enumerate(titles):
        _write(sheet, title, (column * (width + 4) + 4, 16))
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            if cell.shape[:2] != (height, width):
                cell = cv2.resize(
                    cell, (width, height), interpolation=cv2.INTER_NEAREST_EXACT
                )
            top, left = 24 + i * (height + 4), j * (width + 4)
            sheet[top : top + height, left : left + width] = cell
    return sheet


def read_image(path: str | Path) -> np.ndarray:
    """Read a picture as ``(H, W, 3)`` uint8 RGB.

    Raises:
        DataError: Missing, not a picture, or with more than RGB of 8 bits keeps; see
            :func:`tasks.picture_files.read_picture`.
    """
    return read_picture(path)


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write RGB, uint8 or uint16 single-channel pictures as PNG."""
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".png", image)
    if not done:
        raise DataError(f"cannot write '{path}': {image.shape} is no picture")
    with whole_output(path) as place:
        place.write_bytes(data.tobytes())


def write_picture(path: str | Path, picture: np.ndarray) -> Path:
    """Write a picture to look at, and give its path."""
    write_image(path, picture)
    return Path(path)


def write_exact(
    base: str, values: np.ndarray, levels: np.ndarray, fits: bool, kind: type
) -> None:
    """Levels as PNG where they stand for the values, else the values as they are.

    Args:
        base: Path without ending.
        values: What is predicted.
        levels: Whole numbers that stand for it.
        fits: Whether they do, of all values.
        kind: Type of the levels.
    """
    picture, array = Path(f"{base}.png"), Path(f"{base}.npy")
    # One of an earlier prediction would be taken for this one's.
    (array if fits else picture).unlink(missing_ok=True)
    if fits:
        write_image(str(picture), levels.astype(kind))
    else:
        with whole_output(array) as place:
            np.save(place, values.astype(np.float32))


def _write(image: np.ndarray, text: str, place: tuple[int, int]) -> None:
    cv2.putText(
        image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA
    )
