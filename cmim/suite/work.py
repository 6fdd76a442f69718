"""One run of a suite, in a process of its own: ``python -m cmim.suite.work JOB``.

It trains (or goes on), tests, and writes the record, so that what is finished is kept
whatever happens to the process that planned it.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmim.engine.config import ConfigError
from cmim.engine.run_folder import FolderInUseError
from cmim.json_file import read_json
from cmim.suite.content import content_of, key_of
from cmim.suite.full_disk import is_full
from cmim.suite.needs import with_checkpoints
from cmim.suite.plan import PlannedRun
from cmim.whole_output import write_whole

if TYPE_CHECKING:
    from mmengine.config import Config

    from cmim.engine.record import RunFigures
    from cmim.suite.extras import Extras

JOB, CODE = "job.json", "code.json"
# Exit status where another process is at the run, and where a disk is full.
IN_USE, NO_SPACE = 75, 73


def write_job(
    run: PlannedRun, results: Path, work: Path, data_root: str | None
) -> Path:
    """Write what a process needs to know into the run's folder.

    Args:
        run: What to do.
        results: Folder of the records.
        work: Folder of the runs' folders.
        data_root: Where the data lie on this machine; as the config says when None.

    Returns:
        The file.
    """
    path = work / run.key / JOB
    job = dict(
        run=asdict(run), results=str(results), work=str(work), data_root=data_root
    )
    write_whole(path, json.dumps(job))
    return path


def work_on(path: Path) -> None:
    """Do the run that a file describes; a failure becomes its record.

    A full disk is none of the run's, and ends with a status of its own. What has a
    record keeps it when its repetition, for a lost checkpoint, fails.
    """
    job = read_json(path)
    run = PlannedRun(**job["run"])
    results, work = Path(job["results"]), Path(job["work"])
    from cmim.engine.sentences import sentence_of
    from cmim.suite import finished, record
    from cmim.suite.extras import Extras
    from cmim.suite.side_files import keep_sums

    known = finished.record_of(run, results)
    if known and finished.has_checkpoint(known, work):
        return
    try:
        extras = Extras(run.after)
        figures, config, code = _train(run, work, job["data_root"], extras)
        written = record.ran(run, work / run.key, figures, config, code)
        path = record.record_path(results, run)
        written["sums"] = keep_sums(work / run.key, path)
        last = str(work / run.key / "last.pth")
        written.update(extras.finish(config, last, run.threads, path.parent))
    except FolderInUseError:
        # Whoever holds the folder writes the record.
        sys.exit(IN_USE)
    except (Exception, SystemExit) as error:
        if not is_full(error) and known is None:
            record.write_record(results, run, record.failed(run, sentence_of(error)))
        raise
    record.write_record(results, run, written)


def main(path: Path) -> int | None:
    """Do a job.

    Args:
        path: Its file.

    Returns:
        :data:`NO_SPACE`, or None.
    """
    try:
        work_on(path)
    except OSError as error:
        if not is_full(error):
            raise
        from cmim.engine.sentences import sentence_of

        with suppress(OSError):  # the log may lie on the same disk
            print(f"error: {sentence_of(error)}", file=sys.stderr, flush=True)
        return NO_SPACE
    return None


def _main_alone(path: Path) -> int | None:
    status = main(path)
    if status == NO_SPACE:
        # What is left to write would fail as well, and change the status.
        os._exit(NO_SPACE)
    return status


def _train(
    run: PlannedRun, work: Path, data_root: str | None, extras: Extras
) -> tuple[RunFigures, Config, dict[str, Any]]:
    import torch
    from mmengine.device import get_device

    from cmim.code_digest import code_digest, file_digests, loaded_modules
    from cmim.engine.config import load_config
    from cmim.engine.train import prepare_training, train

    if get_device() != run.device:
        raise ConfigError(
            f"the run was planned for {run.device}, and this machine computes on "
            f"{get_device()}: plan it with device={get_device()!r}, or send it to "
            f"machines with {run.device}"
        )
    torch.set_num_threads(run.threads)
    folder = work / run.key
    moved = {} if data_root is None else {"data_root": data_root}
    _check_unchanged(run, moved)
    options = with_checkpoints(run.options, lambda key: str(work / key / "last.pth"))
    config = load_config(run.config, {**options, **moved})
    files = file_digests()
    begun = _begun(folder, files)
    config = prepare_training(
        config, str(folder), resume=begun, seed=run.seed, overwrite=not begun
    )
    figures = train(config, on_prediction=extras.begin(config))
    extras.corrupt(config, str(folder / "last.pth"))
    # Modules are known at the end, and their files are those of the beginning.
    modules = loaded_modules()
    files = {**file_digests(), **files}
    return figures, config, dict(modules=modules, digest=code_digest(modules, files))


def _check_unchanged(run: PlannedRun, moved: dict[str, Any]) -> None:
    options = {**run.options, **moved}
    content = content_of(run.config, options, run.seed, run.threads, run.device)
    if key_of(content) != run.key:
        raise ConfigError(
            f"config '{run.config}', its data or a file that it names have changed "
            "since the suite was planned; plan it again"
        )


def _begun(folder: Path, files: dict[str, str]) -> bool:
    """Whether a run of this very code has begun in a folder.

    A checkpoint of other code is not gone on from: its figures would be of both. What
    the run will load is not known yet, so that any changed module counts.
    """
    from cmim.engine.earlier_run import find_earlier
    from cmim.engine.record import write_json

    path = folder / CODE
    same = path.is_file() and read_json(path) == files
    begun = same and find_earlier(folder) is not None
    if not begun:
        write_json(path, files)
    return begun


if __name__ == "__main__":
    from cmim.engine.run_tool import run_tool

    run_tool(lambda: _main_alone(Path(sys.argv[1])))
