"""One run at a time in a folder, and nothing of an earlier one."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from cmim.engine.config import ConfigError
from cmim.engine.run_folder import holds_run, leads, left_behind, locked, set_aside


def hold(folder: Path, pipe) -> None:
    """A run, and a data loader's process that outlives it."""
    with locked(folder):
        child = os.fork()
        if child:
            pipe.send(child)
        time.sleep(60)


def fill(folder: Path) -> set[str]:
    """A run's files beside those of a user."""
    run = ["last.pth", "previous.pth", "best.pth", "metrics.json", "flips.json"]
    run += ["a.py", ".new.pth.part", "damaged.pth"]
    for name in (*run, "notes.txt", "mine.py"):
        (folder / name).write_text(name)
    record = dict(config="configs/a.py", seed=3)
    (folder / "run.json").write_text(json.dumps(record))
    logs = folder / "20261129_062031" / "vis_data"
    logs.mkdir(parents=True)
    (logs / "scalars.json").touch()
    return {*run, "run.json", "20261129_062031"}


def test_a_run_s_files_move_away_and_others_stay(tmp_path):
    names = fill(tmp_path)
    target = set_aside(tmp_path)
    assert target == tmp_path / "previous_run_1"
    assert {p.name for p in target.iterdir()} == names
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"previous_run_1", "notes.txt", "mine.py"}
    assert set_aside(tmp_path) is None
    fill(tmp_path)
    assert set_aside(tmp_path) == tmp_path / "previous_run_2"
    assert (tmp_path / "previous_run_1" / "last.pth").read_text() == "last.pth"


def test_the_last_checkpoint_moves_last(tmp_path):
    fill(tmp_path)
    assert [p.name for p in left_behind(tmp_path)][-2:] == ["previous.pth", "last.pth"]


def test_a_config_that_lies_in_the_folder_itself_is_no_run_s_file(tmp_path):
    config = tmp_path / "a.py"
    config.touch()
    (tmp_path / "run.json").write_text(json.dumps(dict(config=str(config))))
    assert config not in left_behind(tmp_path)


@pytest.mark.parametrize("name", ["last.pth", "previous.pth", "best.pth"])
def test_any_checkpoint_is_a_run(tmp_path, name):
    assert not holds_run(tmp_path)
    (tmp_path / name).write_bytes(b"torn")
    assert holds_run(tmp_path)


def test_a_second_run_is_told_who_holds_the_folder_until_that_dies(tmp_path):
    fork = multiprocessing.get_context("fork")
    pipe, end = fork.Pipe()
    first = fork.Process(target=hold, args=(tmp_path, end))
    first.start()
    child = pipe.recv()
    said = f"in use by process {first.pid} on .* since 20.*--work-dir"
    with pytest.raises(ConfigError, match=said), locked(tmp_path):
        pass
    first.kill()
    first.join()
    with locked(tmp_path):
        pass
    os.kill(child, signal.SIGKILL)


def test_the_folder_is_free_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "new"):
        raise ZeroDivisionError
    with locked(tmp_path / "new"):
        pass


def test_one_process_of_a_run_writes(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert leads("none")
    assert not leads("pytorch")
    monkeypatch.setenv("RANK", "0")
    assert leads("pytorch")
