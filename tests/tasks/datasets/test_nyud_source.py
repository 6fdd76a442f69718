"""Every way in which the official files can be wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from tasks.datasets.errors import DataError
from tasks.datasets.nyud_source import fingerprint
from tasks.datasets.prepare_nyud import prepare_nyud
from tasks.datasets.rooms.frames import write_rooms

MAT, SPLITS, MAPPING = (
    "nyu_depth_v2_labeled.mat",
    "splits.mat",
    "classMapping40.mat",
)
Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    write_rooms(folder, 8, (24, 32), seed=2, progress=False)
    return folder


@pytest.fixture
def raw_copy(raw: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(raw, tmp_path / "raw"))


def prepare(raw: Path, out: Path) -> None:
    prepare_nyud(raw / MAT, raw / SPLITS, raw / MAPPING, out, progress=False)


def edit_mat(name: str, change: Callable[[h5py.File], None]) -> Edit:
    def edit(folder: Path) -> None:
        with h5py.File(folder / name, "r+") as file:
            change(file)

    return edit


def replace_array(key: str, change: Callable[[np.ndarray], np.ndarray]) -> Edit:
    def swap(file: h5py.File) -> None:
        array = change(file[key][()])
        del file[key]
        file[key] = array

    return edit_mat(MAT, swap)


def replace_variable(
    name: str, key: str, change: Callable[[np.ndarray], np.ndarray]
) -> Edit:
    def edit(folder: Path) -> None:
        variables = {
            k: v for k, v in loadmat(folder / name).items() if not k.startswith("__")
        }
        variables[key] = change(variables[key])
        savemat(folder / name, variables)

    return edit


def remove_variable(name: str, key: str) -> Edit:
    def edit(folder: Path) -> None:
        variables = loadmat(folder / name)
        del variables[key]
        kept = {k: v for k, v in variables.items() if not k.startswith("__")}
        savemat(folder / name, kept)

    return edit


def set_entry(index: tuple, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[index] = value
        return array

    return change


def truncate(name: str) -> Edit:
    def edit(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return edit


def damage_chunk(folder: Path) -> None:
    with h5py.File(folder / MAT) as file:
        chunk = file["images"].id.get_chunk_info(3)
    with (folder / MAT).open("r+b") as file:
        # Chunk addresses do not count the user block.
        file.seek(chunk.byte_offset + 512)
        file.write(bytes(chunk.size))


CASES: dict[str, tuple[Edit, str, str]] = {
    "mat missing": (lambda f: (f / MAT).unlink(), MAT, "no such file"),
    "splits missing": (lambda f: (f / SPLITS).unlink(), SPLITS, "--download"),
    "mapping missing": (lambda f: (f / MAPPING).unlink(), MAPPING, "--download"),
    "mat is text": (
        lambda f: (f / MAT).write_text("<html>") and None,
        MAT,
        "not a complete HDF5 file",
    ),
    "mat truncated": (truncate(MAT), MAT, "download it again"),
    "chunk damaged": (damage_chunk, MAT, "frame 4 of images cannot be read"),
    "splits truncated": (truncate(SPLITS), SPLITS, "not a readable MATLAB 5"),
    "mapping truncated": (truncate(MAPPING), MAPPING, "not a readable MATLAB 5"),
    **{
        f"no {key}": (
            edit_mat(MAT, lambda file, key=key: file.__delitem__(key)),  # type: ignore[misc]
            MAT,
            f"dataset '{key}' is missing, found",
        )
        for key in ("images", "depths", "labels", "scenes")
    },
    "images float": (
        replace_array("images", lambda a: a.astype(np.float32)),
        MAT,
        "images is float32",
    ),
    "images not RGB": (
        replace_array("images", lambda a: a[:, :2]),
        MAT,
        r"expected uint8 \(frames, 3, width, height\)",
    ),
    "fewer depths": (
        replace_array("depths", lambda a: a[:-1]),
        MAT,
        r"depths is float32 \(7, 32, 24\), expected shape \(8, 32, 24\)",
    ),
    "labels turned": (
        replace_array("labels", lambda a: a.transpose(0, 2, 1)),
        MAT,
        "labels is uint16",
    ),
    "labels float": (
        replace_array("labels", lambda a: a.astype(np.float64)),
        MAT,
        "labels is float64",
    ),
    "fewer scenes": (
        replace_array("scenes", lambda a: a[:, :-1]),
        MAT,
        "scenes has 7 entries, expected 8",
    ),
    "scenes are numbers": (
        replace_array("scenes", lambda a: np.zeros((1, 8))),
        MAT,
        "scenes cannot be read",
    ),
    "raw label 895": (
        replace_array("labels", set_entry((2, 0, 0), 895)),
        MAT,
        r"labels of frame 3 span 0\.\.895|labels of frame 3 span \d+\.\.895",
    ),
    "depth in millimetres": (
        replace_array("depths", lambda a: 1000 * a),
        MAT,
        "expected metres",
    ),
    "depth negative": (
        replace_array("depths", set_entry((1, 0, 0), -1.0)),
        MAT,
        "depths of frame 2 spans -1",
    ),
    "depth all holes": (
        replace_array("depths", lambda a: np.full_like(a, np.nan)),
        MAT,
        "depths of frame 1 spans 0..0",
    ),
    "split beyond the end": (
        replace_variable(SPLITS, "testNdxs", set_entry((0, 0), 9)),
        SPLITS,
        r"expected both within 1\.\.8",
    ),
    "split from zero": (
        replace_variable(SPLITS, "trainNdxs", set_entry((0, 0), 0)),
        SPLITS,
        r"hold frames 0\.\.",
    ),
    "split empty": (
        replace_variable(SPLITS, "testNdxs", lambda a: a[:0]),
        SPLITS,
        "expected both within",
    ),
    "splits overlap": (
        replace_variable(
            SPLITS, "testNdxs", lambda a: np.arange(1, 9, dtype=np.uint16)[:, None]
        ),
        SPLITS,
        "4 frames are repeated",
    ),
    "no test split": (
        remove_variable(SPLITS, "testNdxs"),
        SPLITS,
        "variable 'testNdxs' is missing, found trainNdxs",
    ),
    "no mapClass": (
        remove_variable(MAPPING, "mapClass"),
        MAPPING,
        "variable 'mapClass' is missing",
    ),
    "mapping short": (
        replace_variable(MAPPING, "mapClass", lambda a: a[:, :-1]),
        MAPPING,
        "mapClass has 893 entries, expected 894",
    ),
    "mapping to 41": (
        replace_variable(MAPPING, "mapClass", set_entry((0, 5), 41)),
        MAPPING,
        r"values outside 1\.\.40",
    ),
    "mapping to 0": (
        replace_variable(MAPPING, "mapClass", set_entry((0, 5), 0)),
        MAPPING,
        r"values outside 1\.\.40",
    ),
    "other classes": (
        replace_variable(MAPPING, "className", lambda a: a[:, ::-1]),
        MAPPING,
        "does not list the 40 NYU classes",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_file_is_named_with_advice(raw_copy: Path, case: str) -> None:
    edit, name, message = CASES[case]
    edit(raw_copy)
    out = raw_copy.parent / "out"
    with pytest.raises(DataError, match=message) as error:
        prepare(raw_copy, out)
    text = str(error.value)
    assert text.startswith(str(raw_copy / name))
    assert "\n" not in text
    assert ";" in text
    assert not (out / "prepared.json").exists()
    assert not (out / "train.txt").exists()


def test_fingerprint_sees_samples_of_large_files(tmp_path: Path) -> None:
    path = tmp_path / "large"
    content = bytearray(6 << 20)
    path.write_bytes(content)
    before = fingerprint(path)
    assert fingerprint(path) == before
    content[-1] = 1
    path.write_bytes(content)
    assert fingerprint(path) != before
    path.write_bytes(content + b"0")
    assert fingerprint(path) != before
