"""Read the official NYU Depth v2 files, one frame at a time.

References:
    Silberman, Hoiem, Kohli, Fergus, Indoor Segmentation and Support Inference
    from RGBD Images, ECCV 2012.
    https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from tasks.datasets.errors import DataError
from tasks.datasets.matlab import read_cells
from tasks.datasets.nyu40 import NYU40_CLASSES
from tasks.datasets.plain_hdf5 import find_dataset, open_hdf5, require_small
from tasks.datasets.plain_mat5 import check_mat5
from tasks.datasets.scene_types import check_scene_types

RAW_LABELS = 894
DepthKind = Literal["inpainted", "raw"]

_DEPTH_KEYS = {"inpainted": "depths", "raw": "rawDepths"}
#: Bytes of one sample and number of samples of a large file's fingerprint.
_SAMPLE_BYTES, _SAMPLES = 1 << 16, 64
_LARGEST_MILLIMETRES = 65535
_PLAUSIBLE_MEDIAN = (0.1, 20.0)


def fingerprint(path: Path) -> str:
    """Return a SHA-256 over the size and evenly spaced samples of a file.

    Reads at most 4 MiB, so that it is cheap on the 2.8 GB file; a file of up
    to 4 MiB is read whole.

    Args:
        path: An existing file.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    last = max(size - _SAMPLE_BYTES, 0)
    with path.open("rb") as file:
        if size <= _SAMPLE_BYTES * _SAMPLES:
            digest.update(file.read())
            return digest.hexdigest()
        for sample in range(_SAMPLES):
            file.seek(last * sample // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def require_file(path: Path) -> None:
    """Raise a ``DataError`` that says where to get a file, if it is missing."""
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; put {path.name} there, or run with --download"
        )


def load_mat5(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    """Load variables of a MATLAB 5 file.

    Raises:
        DataError: If the file is missing, unreadable or lacks a variable.
    """
    require_file(path)
    check_mat5(path)
    try:
        variables = loadmat(path)
    except Exception as error:  # scipy raises a dozen types on damaged files
        raise DataError(
            f"{path}: not a readable MATLAB 5 file ({error}); download it again"
        ) from error
    for key in keys:
        if key not in variables:
            found = ", ".join(k for k in variables if not k.startswith("__")) or "none"
            raise DataError(
                f"{path}: variable {key!r} is missing, found {found}; "
                "download the official file again"
            )
    return variables


def load_label_map(path: Path) -> NDArray[np.uint8]:
    """Load the table from raw labels to class ids out of classMapping40.mat.

    Shape:
        ``(895,)`` uint8; entry 0 (unlabelled) is 0, entries 1..894 are 1..40.

    Raises:
        DataError: If the table has another length, other values or other names.
    """
    variables = load_mat5(path, ("mapClass", "className"))
    mapping = np.asarray(variables["mapClass"]).ravel()
    advice = "use the official classMapping40.mat (run with --download)"
    if mapping.shape != (RAW_LABELS,):
        raise DataError(
            f"{path}: mapClass has {mapping.size} entries, expected {RAW_LABELS}; "
            f"{advice}"
        )
    if mapping.dtype.kind not in "iuf" or not np.isin(mapping, np.arange(1, 41)).all():
        raise DataError(f"{path}: mapClass has values outside 1..40; {advice}")
    names = tuple(str(np.ravel(cell)[0]) for cell in variables["className"].ravel())
    if names != NYU40_CLASSES:
        raise DataError(
            f"{path}: className does not list the 40 NYU classes in order; {advice}"
        )
    return np.append(0, mapping).astype(np.uint8)


def load_splits(path: Path, frames: int) -> tuple[list[int], list[int]]:
    """Load the 1-based frame numbers of the train and test split, ascending.

    Args:
        path: splits.mat.
        frames: Number of frames that the numbers must not exceed.

    Raises:
        DataError: If a number is out of range, repeated or in both splits.
    """
    variables = load_mat5(path, ("trainNdxs", "testNdxs"))
    train, test = (
        sorted(np.ravel(variables[key]).astype(int).tolist())
        for key in ("trainNdxs", "testNdxs")
    )
    both = train + test
    if not train or not test or min(both) < 1 or max(both) > frames:
        found = f"{min(both)}..{max(both)}" if both else "nothing"
        raise DataError(
            f"{path}: the two splits hold frames {found}, expected both within "
            f"1..{frames}; use the splits.mat that belongs to the labelled file"
        )
    if len(set(both)) != len(both):
        raise DataError(
            f"{path}: {len(both) - len(set(both))} frames are repeated within or "
            "across the splits, expected none; download splits.mat again"
        )
    return train, test


class NyudSource:
    """The labelled NYU Depth v2 file, its splits and its class mapping.

    Only the frame that is asked for is read.

    Args:
        mat: nyu_depth_v2_labeled.mat.
        splits: splits.mat.
        mapping: classMapping40.mat.
        depth: ``inpainted`` (no holes) or ``raw`` (0 where the sensor saw
            nothing).

    Raises:
        DataError: If a file is missing, damaged or has unexpected contents.
    """

    def __init__(
        self, mat: Path, splits: Path, mapping: Path, depth: DepthKind = "inpainted"
    ) -> None:
        self.mat = mat
        self._depth_key = _DEPTH_KEYS[depth]
        self.label_map = load_label_map(mapping)
        require_file(mat)
        self._file = open_hdf5(mat)
        try:
            self.frames, self.size = self._check_arrays()
            self.scenes = self._read_names("scenes")
            # Absent from files that were generated before the scene task was.
            typed = "sceneTypes" in self._file
            types = self._read_names("sceneTypes") if typed else []
            self.scene_types = check_scene_types(types, mat)
            self.train, self.test = load_splits(splits, self.frames)
        except BaseException:
            self._file.close()
            raise
        self.fingerprints = {
            "labelled_file": fingerprint(mat),
            "splits_file": fingerprint(splits),
            "mapping_file": fingerprint(mapping),
        }

    def __enter__(self) -> "NyudSource":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return the RGB image ``(H, W, 3)`` of a 0-based frame."""
        return np.ascontiguousarray(self._read("images", index).transpose(2, 1, 0))

    def depth_millimetres(self, index: int) -> NDArray[np.uint16]:
        """Return depth ``(H, W)``, rounded to millimetres, of a 0-based frame.

        Holes, including values that are not finite, are 0.

        Raises:
            DataError: If values are negative, too large or not like metres.
        """
        metres = self._read(self._depth_key, index).T.astype(np.float64)
        metres = np.where(np.isfinite(metres), metres, 0.0)
        millimetres = np.rint(1000.0 * metres)
        known = metres[metres > 0]
        median = float(np.median(known)) if known.size else None
        low, high = _PLAUSIBLE_MEDIAN
        hollow = median is None and self._depth_key == "depths"
        implausible = median is not None and not low <= median <= high
        if (
            hollow
            or implausible
            or millimetres.min() < 0
            or millimetres.max() > _LARGEST_MILLIMETRES
        ):
            raise DataError(
                f"{self.mat}: {self._depth_key} of frame {index + 1} spans "
                f"{metres.min():.4g}..{metres.max():.4g}, expected metres in 0..65.535 "
                f"with a median in {low}..{high}; download the official file again"
            )
        return millimetres.astype(np.uint16)

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Return class ids ``(H, W)``, 0 void and 1..40, of a 0-based frame.

        Raises:
            DataError: If a raw label exceeds 894.
        """
        raw = self._read("labels", index).T
        if raw.max() > RAW_LABELS or raw.min() < 0:
            raise DataError(
                f"{self.mat}: labels of frame {index + 1} span "
                f"{raw.min()}..{raw.max()}, expected 0..{RAW_LABELS}; "
                "download the official file again"
            )
        return self.label_map[raw]

    def _read(self, key: str, index: int) -> NDArray:
        try:
            return self._file[key][index]
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{self.mat}: frame {index + 1} of {key} cannot be read ({error}); "
                "the file is damaged, download it again"
            ) from error

    def _dataset(self, key: str) -> h5py.Dataset:
        found = find_dataset(self._file, key)
        if found is None:
            raise DataError(
                f"{self.mat}: dataset {key!r} is missing, found "
                f"{', '.join(self._file) or 'none'}; use the official labelled file"
            )
        return found

    def _check_arrays(self) -> tuple[int, tuple[int, int]]:
        images = self._dataset("images")
        if images.ndim != 4 or images.shape[1] != 3 or images.dtype != np.uint8:
            raise DataError(
                f"{self.mat}: images is {images.dtype} {images.shape}, expected uint8 "
                "(frames, 3, width, height); use the official labelled file"
            )
        frames, _, width, height = images.shape
        for key, kinds in ((self._depth_key, "f"), ("labels", "u")):
            dataset = self._dataset(key)
            expected = (frames, width, height)
            if dataset.shape != expected or dataset.dtype.kind not in kinds:
                raise DataError(
                    f"{self.mat}: {key} is {dataset.dtype} {dataset.shape}, expected "
                    f"shape {expected} to match images; use the official labelled file"
                )
        return frames, (height, width)

    def _read_names(self, key: str) -> list[str]:
        require_small(self._dataset(key), self.frames)
        try:
            names = read_cells(self._file, key)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{self.mat}: {key} cannot be read ({error}); the file is damaged, "
                "download it again"
            ) from error
        if len(names) != self.frames:
            raise DataError(
                f"{self.mat}: {key} has {len(names)} entries, expected {self.frames} "
                "to match images; use the official labelled file"
            )
        return names
