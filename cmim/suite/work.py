"""One run of a suite, in a process of its own: ``python -m cmim.suite.work JOB``.

It trains (or goes on), tests, and writes the record, so that what is finished is kept
whatever happens to the process that planned it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmim.engine.config import ConfigError
from cmim.engine.run_folder import FolderInUseError
from cmim.json_file import read_json
from cmim.suite.content import content_of, key_of, needed_key
from cmim.suite.plan import PlannedRun
from cmim.whole_output import write_whole

if TYPE_CHECKING:
    from mmengine.config import Config

    from cmim.suite.extras import Extras

JOB, CODE = "job.json", "code.json"
# Exit status where another process is at the run.
IN_USE = 75


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
    """Do the run that a file describes; a failure becomes its record."""
    job = read_json(path)
    run = PlannedRun(**job["run"])
    results, work = Path(job["results"]), Path(job["work"])
    from cmim.engine.sentences import sentence_of
    from cmim.suite import record
    from cmim.suite.extras import Extras
    from cmim.suite.side_files import keep_sums

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
        record.write_record(results, run, record.failed(run, sentence_of(error)))
        raise
    record.write_record(results, run, written)


def _train(
    run: PlannedRun, work: Path, data_root: str | None, extras: Extras
) -> tuple[dict[str, Any], Config, dict[str, Any]]:
    import torch

    from cmim.code_digest import code_digest, file_digests, loaded_modules
    from cmim.engine.config import load_config
    from cmim.engine.train import prepare_training, train

    torch.set_num_threads(run.threads)
    folder = work / run.key
    moved = {} if data_root is None else {"data_root": data_root}
    _check_unchanged(run, moved)
    options = dict(run.options)
    for name, value in run.options.items():
        if (key := needed_key(value)) is not None:
            options[name] = str(work / key / "last.pth")
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
    return figures, config, dict(modules=modules, digest=code_digest(modules, files))


def _check_unchanged(run: PlannedRun, moved: dict[str, Any]) -> None:
    content = content_of(run.config, {**run.options, **moved}, run.seed, run.threads)
    if key_of(content) != run.key:
        raise ConfigError(
            f"config '{run.config}', its data or weights have changed since the suite "
            "was planned; plan it again"
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

    run_tool(lambda: work_on(Path(sys.argv[1])))
