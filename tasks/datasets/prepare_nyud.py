"""Turn the official NYU Depth v2 files into a folder of images.

Layout: ``images/00001.png`` (RGB), ``depth/00001.png`` (uint16 millimetres, 0
unknown), ``labels40/00001.png`` (uint8, 0 void, 1..40), ``train.txt``,
``test.txt``, ``classes40.txt``, ``scenes.txt``, ``scene_types.txt`` (where the labelled
file has them) and ``prepared.json``. The bytes depend on the source files and options
alone.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tasks.datasets.errors import DataError
from tasks.datasets.nyu40 import NYU40_CLASSES
from tasks.datasets.nyud_source import DepthKind, NyudSource
from tasks.datasets.prepared_folder import PreparedFolder, frame_name, sha256
from tasks.datasets.scene_types import FILE as SCENE_FILE
from tasks.picture_decoder import decode
from tasks.whole_file import check_content

FORMAT_VERSION = 1
ImageFormat = Literal["png", "jpg"]
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class PreparationReport:
    """Figures of a preparation or verification.

    Args:
        frames: Number of frames in the folder.
        written: Number of frames written by this run.
        train: Number of frames in the train split.
        test: Number of frames in the test split.
        megabytes: Size of images, depth and labels, 10^6 bytes.
        seconds: Wall time of this run.
    """

    frames: int
    written: int
    train: int
    test: int
    megabytes: float
    seconds: float


def prepare_nyud(
    mat: Path,
    splits: Path,
    mapping: Path,
    out: Path,
    image_format: ImageFormat = "png",
    depth: DepthKind = "inpainted",
    progress: bool = True,
) -> PreparationReport:
    """Prepare a folder, resume an interrupted one, or verify a complete one.

    ``INCOMPLETE`` lies in the folder until all is verified; a killed run resumes
    and leaves the same bytes as an uninterrupted one.

    Args:
        mat: nyu_depth_v2_labeled.mat.
        splits: splits.mat.
        mapping: classMapping40.mat.
        out: Folder to fill.
        image_format: ``png`` (lossless) or ``jpg`` (quality 95).
        depth: ``inpainted`` or ``raw`` (0 where the sensor saw nothing).
        progress: Whether to show bars.

    Raises:
        DataError: If a source is unusable, options differ or verification fails.
    """
    started, folder = time.perf_counter(), PreparedFolder(out)
    with NyudSource(mat, splits, mapping, depth) as source:
        settings = _settings(source, image_format, depth)
        if folder.is_complete():
            folder.compare(folder.load_summary(), settings)
            # A folder that an earlier version completed lacks them.
            folder.add_texts(_scene_types(source))
            return verify_prepared(out, progress)
        digests, written = _write_frames(folder, source, settings, progress)
        texts = _texts(source)
    size = _finish(folder, {**settings, "digests": digests}, texts, progress)
    return _report(texts, len(digests), written, size, started)


def _write_frames(
    folder: PreparedFolder,
    source: NyudSource,
    settings: dict[str, Any],
    progress: bool,
) -> tuple[dict[str, dict[str, str]], int]:
    """Write what is missing; return all digests and the number of frames written."""
    finished: dict[str, dict[str, str]] = {}
    if folder.journal.exists():
        finished = folder.resume(settings)
    else:
        folder.start(settings)
    written = source.frames - len(finished)
    names = [frame_name(index) for index in range(source.frames)]
    for index, name in enumerate(tqdm(names, disable=not progress, unit="frame")):
        if name not in finished:
            files = encode_frame(source, index, settings["image_format"])
            finished[name] = folder.write_frame(name, files)
    return {name: finished[name] for name in names}, written


def _finish(
    folder: PreparedFolder,
    summary: dict[str, Any],
    texts: dict[str, str],
    progress: bool,
) -> int:
    """Verify the frames, then declare the folder complete; return its bytes."""
    size = _verify_frames(folder, summary, progress)
    _verify_splits(
        folder.path, texts["train.txt"], texts["test.txt"], summary["frames"]
    )
    text_digests = {name: sha256(text.encode()) for name, text in texts.items()}
    folder.finish(texts, {**summary, "text_digests": text_digests})
    return size


def verify_prepared(out: Path, progress: bool = True) -> PreparationReport:
    """Check every file of a complete folder against its digests and ranges.

    Raises:
        DataError: If the folder is incomplete or a file is missing or damaged.
    """
    started = time.perf_counter()
    folder = PreparedFolder(out)
    summary = folder.load_summary()
    texts = {}
    for name, digest in summary["text_digests"].items():
        data = folder.read(name)
        _check_digest(out / name, data, digest)
        texts[name] = data.decode()
    size = _verify_frames(folder, summary, progress)
    frames = int(summary["frames"])
    _verify_splits(out, texts["train.txt"], texts["test.txt"], frames)
    return _report(texts, frames, 0, size, started)


def encode_frame(
    source: NyudSource, index: int, image_format: ImageFormat
) -> dict[str, bytes]:
    """Return the encoded image, depth and labels of a 0-based frame by path."""
    name = frame_name(index)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    image = source.image(index)[..., ::-1]
    return {
        f"images/{name}.{image_format}": _encode(
            image, image_format, quality if image_format == "jpg" else []
        ),
        f"depth/{name}.png": _encode(source.depth_millimetres(index), "png", []),
        f"labels40/{name}.png": _encode(source.labels(index), "png", []),
    }


def _encode(array: NDArray, image_format: str, options: list[int]) -> bytes:
    done, data = cv2.imencode(f".{image_format}", array, options)
    if not done:
        raise DataError(f"an image of shape {array.shape} could not be encoded")
    return data.tobytes()


def _settings(
    source: NyudSource, image_format: ImageFormat, depth: DepthKind
) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "frames": source.frames,
        "frame_size": list(source.size),
        "image_format": image_format,
        "depth": depth,
        **source.fingerprints,
    }


def _texts(source: NyudSource) -> dict[str, str]:
    """Return the contents of the text files by name."""
    return {
        "classes40.txt": "".join(f"{name}\n" for name in NYU40_CLASSES),
        "scenes.txt": _by_frame(source.scenes),
        **_scene_types(source),
        "train.txt": "".join(f"{number:05d}\n" for number in source.train),
        "test.txt": "".join(f"{number:05d}\n" for number in source.test),
    }


def _scene_types(source: NyudSource) -> dict[str, str]:
    return {SCENE_FILE: _by_frame(source.scene_types)} if source.scene_types else {}


def _by_frame(names: Sequence[str]) -> str:
    lines = (f"{frame_name(index)} {name}\n" for index, name in enumerate(names))
    return "".join(lines)


def _verify_frames(
    folder: PreparedFolder, summary: dict[str, Any], progress: bool
) -> int:
    """Check every frame; return the bytes of all files."""
    expected = [frame_name(index) for index in range(int(summary["frames"]))]
    if sorted(summary["digests"]) != expected:
        raise DataError(
            f"{folder.summary}: lists {len(summary['digests'])} frames, expected "
            f"{len(expected)}; delete {folder.path} and prepare it again"
        )
    size = 0
    bar = tqdm(expected, disable=not progress, unit="frame", desc="verify")
    for frame in bar:
        for name, digest in summary["digests"][frame].items():
            data = folder.read(name)
            _check_digest(folder.path / name, data, digest)
            _check_contents(folder.path / name, data, summary)
            size += len(data)
    return size


def _check_digest(path: Path, data: bytes, digest: str) -> None:
    if sha256(data) != digest:
        raise DataError(
            f"{path}: differs from its digest, so it was changed or damaged; delete "
            "the prepared folder and prepare it again"
        )


def _check_contents(path: Path, data: bytes, summary: dict[str, Any]) -> None:
    """Check that a file decodes to the promised type, shape and range."""
    kind = path.parent.name
    check_content(data, path)
    array = decode(data, path, cv2.IMREAD_UNCHANGED)
    height, width = summary["frame_size"]
    shape = (height, width, 3) if kind == "images" else (height, width)
    dtype = np.uint16 if kind == "depth" else np.uint8
    if array.shape != shape or array.dtype != dtype:
        raise DataError(
            f"{path}: decodes to {array.dtype} {array.shape}, expected "
            f"{np.dtype(dtype)} {shape}; delete the prepared folder and prepare it "
            "again"
        )
    if kind == "labels40" and array.max() > len(NYU40_CLASSES):
        raise DataError(
            f"{path}: has label {array.max()}, expected 0..40; delete the prepared "
            "folder and prepare it again"
        )
    if kind == "depth" and summary["depth"] == "inpainted" and not array.any():
        raise DataError(
            f"{path}: in-painted depth is 0 everywhere, expected millimetres; delete "
            "the prepared folder and prepare it again"
        )


def _verify_splits(out: Path, train: str, test: str, frames: int) -> None:
    numbers = [int(line) for line in (train + test).split()]
    if len(set(numbers)) != len(numbers) or not set(numbers) <= {*range(1, frames + 1)}:
        raise DataError(
            f"{out}: train.txt and test.txt overlap or leave 1..{frames}; delete the "
            "prepared folder and prepare it again"
        )


def _report(
    texts: dict[str, str], frames: int, written: int, size: int, started: float
) -> PreparationReport:
    return PreparationReport(
        frames=frames,
        written=written,
        train=len(texts["train.txt"].split()),
        test=len(texts["test.txt"].split()),
        megabytes=round(size / 1e6, 3),
        seconds=round(time.perf_counter() - started, 3),
    )
