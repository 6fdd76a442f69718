"""A run's folder: one run at a time in it, and nothing of an earlier one."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.logging import print_log

from cmim.engine.config import ConfigError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

# The last one is moved last: until then the folder still holds the earlier run.
CHECKPOINTS = ("new.pth", "best.pth", "previous.pth", "last.pth")
RECORDS = (
    *("metrics.json", "flips.json", "trace.json", "sums.npz"),
    *("run.json", "damaged.pth"),
)
# mmengine's logs and TensorBoard's scalars lie in a folder named after the second.
_LOGS = re.compile(r"\d{8}_\d{6}(_\d+)?")
_RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")


def leads(launcher: str) -> bool:
    """Whether this process is the one of a run that writes files.

    Asked before the processes have found each other.

    Args:
        launcher: As in mmengine; ``'none'`` is one process.

    Examples:
        >>> leads("none")
        True
    """
    if launcher == "none":
        return True
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


class FolderInUseError(ConfigError):
    """Another process runs in a folder."""


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Keep other runs out of a folder; the system lets go when the process ends.

    Args:
        folder: A run's folder; made where it is missing.

    Raises:
        FolderInUseError: Another process runs in it; says which.
    """
    path = Path(folder) / ".lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        _take(file, path)
        file.truncate(0)
        begun = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = dict(process=os.getpid(), host=platform.node(), since=begun)
        file.write(json.dumps(holder))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _take(file, path: Path) -> None:
    if fcntl is None:
        return
    try:
        # Not flock, which the data loaders' processes would inherit and hold on to.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            print_log(
                f"'{path}' cannot be locked here ({error}): two runs in one folder "
                "would not be noticed",
                logger="current",
            )
            return
        raise FolderInUseError(
            f"'{path.parent}' is in use by {_holder(file)}; wait for that run, end it, "
            "or choose another folder with --work-dir"
        ) from error


def _holder(file) -> str:
    file.seek(0)
    try:
        found = json.loads(file.read())
        return f"process {found['process']} on {found['host']} since {found['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def left_behind(folder: str | Path) -> list[Path]:
    """Files and folders that an earlier run has written, its checkpoint last.

    Args:
        folder: A run's folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return []
    found = [p for p in folder.iterdir() if p.is_dir() and _LOGS.fullmatch(p.name)]
    found += [p for p in folder.glob(".*.part") if p.is_file()]
    config = recorded_config(folder)
    names = ([] if config is None else [config.name]) + [*RECORDS, *CHECKPOINTS]
    return found + [folder / name for name in names if (folder / name).is_file()]


def recorded_config(folder: str | Path) -> Path | None:
    """The config that the run in a folder was started with, or None."""
    try:
        record = json.loads((Path(folder) / "run.json").read_text())
        path = Path(folder) / Path(record["config"]).name
    except (OSError, ValueError, KeyError, TypeError):
        return None
    same = path.resolve() == Path(record["config"]).resolve()
    return path if path.is_file() and not same else None


def set_aside(folder: str | Path) -> Path | None:
    """Move all that an earlier run has left into ``previous_run_N`` beside it.

    A run killed before its first checkpoint then leaves nothing that could be taken
    for its own.

    Args:
        folder: A run's folder.

    Returns:
        Where it lies now; None where there was nothing.
    """
    found = left_behind(folder)
    if not found:
        return None
    number = 1
    while (Path(folder) / f"previous_run_{number}").exists():
        number += 1
    target = Path(folder) / f"previous_run_{number}"
    target.mkdir()
    for path in found:
        os.replace(path, target / path.name)
    print_log(f"the earlier run's files lie in '{target}' now", logger="current")
    return target


def holds_run(folder: str | Path) -> bool:
    """Whether a folder holds checkpoints or figures that must not be lost."""
    names = (*CHECKPOINTS[1:], "metrics.json")
    return any((Path(folder) / name).exists() for name in names)
