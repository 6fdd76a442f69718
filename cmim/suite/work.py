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

from cmim.json_file import read_json
from cmim.suite.plan import PlannedRun
from cmim.whole_output import write_whole

if TYPE_CHECKING:
    from mmengine.config import Config

JOB = "job.json"


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

    try:
        figures, config = _train(run, work, job["data_root"])
        written = record.ran(run, work / run.key, figures, config)
    except (Exception, SystemExit) as error:
        record.write_record(results, run, record.failed(run, sentence_of(error)))
        raise
    record.write_record(results, run, written)


def _train(
    run: PlannedRun, work: Path, data_root: str | None
) -> tuple[dict[str, Any], Config]:
    import torch

    from cmim.engine.config import load_config
    from cmim.engine.earlier_run import find_earlier
    from cmim.engine.train import prepare_training, train

    torch.set_num_threads(run.threads)
    folder = work / run.key
    options = {
        name: str(work / value[4:] / "last.pth") if _is_run(value) else value
        for name, value in run.options.items()
    }
    if data_root is not None:
        options["data_root"] = data_root
    begun = find_earlier(folder) is not None
    config = prepare_training(
        load_config(run.config, options), str(folder), resume=begun, seed=run.seed
    )
    return train(config), config


def _is_run(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("run:")


if __name__ == "__main__":
    from cmim.engine.run_tool import run_tool

    run_tool(lambda: work_on(Path(sys.argv[1])))
