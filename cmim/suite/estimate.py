"""How long runs will take, by timing a few steps of each kind."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from cmim.json_file import read_json
from cmim.suite.content import content_of, key_of
from cmim.suite.engines.engine import command, environment
from cmim.suite.plan import PlannedRun
from cmim.suite.record import record_path
from cmim.suite.schedule import Places
from cmim.suite.table import steps_of
from cmim.suite.work import write_job

# Steps that are timed, behind those in which caches fill.
TIMED, WARM = 12, 4


def estimate_minutes(
    runs: Sequence[PlannedRun], places: Places, plan: Sequence[PlannedRun] = ()
) -> dict[str, float]:
    """Minutes of each run's training, without its test.

    A few steps are run of each kind, that is of each choice of axes and config; seeds
    cost the same. A run that needs another's checkpoint, which is not there yet, reads
    what the timed steps of that one have left: weights that are hardly trained cost as
    much.

    Args:
        runs: Those to do.
        places: Folders; nothing is written there.
        plan: All runs, where some that others need are done already.

    Returns:
        Minutes by key; a kind that could not be timed is left out.
    """
    kinds: dict[str, list[PlannedRun]] = {}
    for run in runs:
        kind = json.dumps([run.labels, run.config, steps_of(run)])
        kinds.setdefault(kind, []).append(run)
    minutes: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        timing = Timing(Path(folder), places, {r.key: r for r in (*plan, *runs)})
        for same in tqdm(kinds.values(), unit="kind", desc="timing"):
            seconds = timing.seconds(same[0])
            if seconds is not None:
                minutes.update({r.key: seconds * steps_of(r) / 60 for r in same})
    return minutes


@dataclass
class Timing:
    """Short runs, whose checkpoints stand for those of the whole ones.

    Attributes:
        folder: Of the short runs; a checkpoint lies there under the whole run's key.
        places: Of the whole runs.
        runs: By key.
        known: Seconds of a step by key, None where it could not be run.
    """

    folder: Path
    places: Places
    runs: dict[str, PlannedRun]
    known: dict[str, float | None] = field(default_factory=dict)

    def seconds(self, run: PlannedRun) -> float | None:
        """Seconds of a step of a run, or None where it could not be run."""
        if run.key not in self.known:
            there = all(self._find_checkpoint(key) for key in run.needs)
            self.known[run.key] = self._measure(run) if there else None
        return self.known[run.key]

    def _find_checkpoint(self, key: str) -> bool:
        """Bring a needed run's checkpoint, or that of its first steps."""
        place = self.folder / key / "last.pth"
        done = self.places.work / key / "last.pth"
        if not place.is_file() and done.is_file():
            _copy(done, place)
        if not place.is_file() and key in self.runs:
            self.seconds(self.runs[key])
        return place.is_file()

    def _measure(self, run: PlannedRun) -> float | None:
        short = _shortened(run)
        if short is None:
            return None
        results = self.folder / "results"
        job = write_job(short, results, self.folder, self.places.data_root)
        subprocess.run(
            command(job), env=environment(job), capture_output=True, check=False
        )
        path = record_path(results, short)
        if not path.is_file():
            return None
        found = read_json(path)
        if found["status"] == "ok":
            _copy(job.with_name("last.pth"), self.folder / run.key / "last.pth")
        speed = found.get("cost", {}).get("images_per_second")
        batch = run.resolved["train_dataloader"]["batch_size"]
        return None if not speed else batch / speed


def _shortened(run: PlannedRun) -> PlannedRun | None:
    """The first steps of a run; None where its config times none."""
    hooks = run.resolved.get("custom_hooks", [])
    timing = [
        k for k, hook in enumerate(hooks) if hook["type"].endswith("RecordTiming")
    ]
    if not timing:
        return None
    options = {
        **run.options,
        "train_cfg.max_iters": WARM + TIMED,
        f"custom_hooks.{timing[0]}.warmup": WARM,
    }
    content = content_of(run.config, options, run.seed, run.threads, run.device)
    return replace(run, options=options, key=key_of(content), after={})


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
