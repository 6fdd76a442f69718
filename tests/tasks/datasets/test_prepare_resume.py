"""Preparation of NYUD-v2: a kill at any moment, damage, other options."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tasks.datasets import prepared_folder
from tasks.datasets.errors import DataError
from tasks.datasets.nyud_source import NyudSource
from tasks.datasets.prepare_nyud import (
    PreparationReport,
    prepare_nyud,
    verify_prepared,
)
from tasks.datasets.rooms.frames import write_rooms

ROOT = Path(__file__).resolve().parents[3]
FRAMES = 12
SIZE = (36, 48)
MAT, SPLITS, MAPPING = (
    "nyu_depth_v2_labeled.mat",
    "splits.mat",
    "classMapping40.mat",
)
Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    write_rooms(folder, FRAMES, SIZE, seed=2, progress=False)
    return folder


@pytest.fixture(scope="module")
def prepared(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "out"
    prepare(raw, out)
    return out


@pytest.fixture
def raw_copy(raw: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(raw, tmp_path / "raw"))


def prepare(raw: Path, out: Path, **options: str) -> PreparationReport:
    return prepare_nyud(
        raw / MAT,
        raw / SPLITS,
        raw / MAPPING,
        out,
        progress=False,
        **options,  # type: ignore[arg-type]
    )


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder, hidden ones included."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


SLOW_RUN = """
import sys, time
from pathlib import Path
import tasks.datasets.prepare_nyud as module
encode = module.encode_frame
def slow(*arguments):
    time.sleep(0.1)
    return encode(*arguments)
module.encode_frame = slow
raw, out = Path(sys.argv[1]), Path(sys.argv[2])
module.prepare_nyud(*(raw / name for name in sys.argv[3:]), out, progress=False)
"""


@pytest.mark.full
def test_killed_run_resumes_to_the_same_bytes(
    raw: Path, prepared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", SLOW_RUN, raw, out, MAT, SPLITS, MAPPING]
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT)
    journal = out / "INCOMPLETE"
    deadline = time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b"\n") < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert journal.exists()
    assert not any(
        (out / name).exists() for name in ("train.txt", "test.txt", "prepared.json")
    )
    with pytest.raises(DataError, match="was interrupted"):
        verify_prepared(out, progress=False)
    report = prepare(raw, out)
    assert 0 < report.written < FRAMES
    assert tree(out) == tree(prepared)


class Killed(BaseException):
    """Stands for a kill: no handler of the code under test catches it."""


@pytest.mark.parametrize("survived", [0, 1, 2, 3, 4, 17, 36, 37, 38, 40, 41])
@pytest.mark.parametrize("moment", ["before", "half", "after"])
def test_a_kill_around_any_write_is_repaired(
    raw: Path,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    survived: int,
    moment: str,
) -> None:
    # 1 journal + 3 x 12 files + 4 texts + 1 summary = 42 writes.
    write, count = prepared_folder.write_whole, 0

    def write_and_die(path: Path, data: bytes) -> None:
        nonlocal count
        if count == survived:
            if moment == "half":
                path.with_name(f".{path.name}.part").write_bytes(data[: len(data) // 2])
            elif moment == "after":
                write(path, data)
            raise Killed
        count += 1
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(prepared_folder, "write_whole", write_and_die)
        with pytest.raises(Killed):
            prepare(raw, tmp_path / "out")
    assert not prepared_folder.PreparedFolder(tmp_path / "out").is_complete()
    prepare(raw, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(prepared)


@pytest.fixture
def interrupted(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose preparation died after seven frames."""
    out = tmp_path / "out"
    read = NyudSource.image

    def read_and_die(self: NyudSource, index: int) -> np.ndarray:
        if index == 7:
            raise Killed
        return read(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(NyudSource, "image", read_and_die)
        with pytest.raises(Killed):
            prepare(raw, out)
    return out


def _truncate(out: Path) -> None:
    path = out / "images" / "00003.png"
    path.write_bytes(path.read_bytes()[:-20])


def _change_byte(out: Path) -> None:
    path = out / "depth" / "00002.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _remove(out: Path) -> None:
    (out / "labels40" / "00001.png").unlink()


def _cut_journal(out: Path) -> None:
    journal = out / "INCOMPLETE"
    journal.write_bytes(journal.read_bytes()[:-30])


def _drop_folder(out: Path) -> None:
    shutil.rmtree(out / "labels40")


@pytest.mark.parametrize(
    "damage", [_truncate, _change_byte, _remove, _cut_journal, _drop_folder]
)
def test_damage_is_repaired_on_resume(
    raw: Path, prepared: Path, interrupted: Path, damage: Edit
) -> None:
    damage(interrupted)
    report = prepare(raw, interrupted)
    assert report.written == (FRAMES if damage is _drop_folder else FRAMES - 6)
    assert tree(interrupted) == tree(prepared)


@pytest.mark.parametrize("options", [{"depth": "raw"}, {"image_format": "jpg"}])
def test_resuming_with_other_options_is_refused(
    raw: Path, interrupted: Path, options: dict[str, str]
) -> None:
    before = tree(interrupted)
    with pytest.raises(DataError, match="was prepared with"):
        prepare(raw, interrupted, **options)
    assert tree(interrupted) == before


def test_resuming_from_another_source_is_refused(
    raw_copy: Path, interrupted: Path
) -> None:
    with h5py.File(raw_copy / MAT, "r+") as file:
        file["images"][0, 0, 0, 0] ^= 1
    with pytest.raises(DataError, match="was prepared with labelled_file"):
        prepare(raw_copy, interrupted)


def test_damaged_journal_header_is_refused(raw: Path, interrupted: Path) -> None:
    (interrupted / "INCOMPLETE").write_bytes(b"")
    with pytest.raises(DataError, match="first line is not JSON"):
        prepare(raw, interrupted)
