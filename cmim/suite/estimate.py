"""How long runs will take, by timing a few steps of each kind."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from cmim.suite.content import content_of, key_of
from cmim.suite.engines.engine import command, environment
from cmim.suite.plan import PlannedRun
from cmim.suite.record import record_path
from cmim.suite.schedule import Places
from cmim.suite.table import steps_of
from cmim.suite.work import write_job

# Steps that are timed, behind those in which caches fill.
TIMED, WARM = 12, 4


def estimate_minutes(runs: Sequence[PlannedRun], places: Places) -> dict[str, float]:
    """Minutes of each run's training, without its test.

    A few steps are run of each kind, that is of each choice of axes; seeds cost the
    same. Runs that need another, which is not there yet, are not timed.

    Args:
        runs: Those to do.
        places: Folders; nothing is written there.

    Returns:
        Minutes by key; a kind that could not be timed is left out.
    """
    kinds: dict[str, list[PlannedRun]] = {}
    for run in runs:
        kinds.setdefault(json.dumps([run.labels, steps_of(run)]), []).append(run)
    minutes: dict[str, float] = {}
    for same in tqdm(kinds.values(), unit="kind", desc="timing"):
        seconds = seconds_a_step(same[0], places)
        if seconds is not None:
            minutes.update({r.key: seconds * steps_of(r) / 60 for r in same})
    return minutes


def seconds_a_step(run: PlannedRun, places: Places) -> float | None:
    """Seconds of a step of a run, or None where it could not be run."""
    hooks = run.resolved.get("custom_hooks", [])
    timing = [
        k for k, hook in enumerate(hooks) if hook["type"].endswith("RecordTiming")
    ]
    if run.needs or not timing:
        return None
    options = {
        **run.options,
        "train_cfg.max_iters": WARM + TIMED,
        f"custom_hooks.{timing[0]}.warmup": WARM,
    }
    content = content_of(run.config, options, run.seed, run.threads)
    short = replace(run, options=options, key=key_of(content), after={})
    with tempfile.TemporaryDirectory() as folder:
        job = write_job(short, Path(folder) / "results", Path(folder), places.data_root)
        subprocess.run(
            command(job), env=environment(run.threads), capture_output=True, check=False
        )
        path = record_path(Path(folder) / "results", short)
        if not path.is_file():
            return None
        cost = json.loads(path.read_text()).get("cost", {})
    speed = cost.get("images_per_second")
    batch = run.resolved["train_dataloader"]["batch_size"]
    return None if not speed else batch / speed
