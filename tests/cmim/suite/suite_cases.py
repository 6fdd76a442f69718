"""Suites for tests: files, plans without configs, an engine that computes nothing."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch

from cmim.suite import record
from cmim.suite.engines import Engine
from cmim.suite.engines.engine import INTERRUPTED
from cmim.suite.plan import PlannedRun

ROOMS = """
config = "rooms_seg_bireal"
steps = 4
seeds = [0, 1]
options = {"train_dataloader.batch_size": 2, "test_dataloader.dataset.limit": 3}
axes = dict(
    method=dict(
        bireal={"model.model.backbone.method": "bireal"},
        reactnet={"model.model.backbone.method": "reactnet"},
    ),
    loss=dict(
        none={"model.partner": "none"},
        latent={"model.partner": "latent"},
    ),
)
baseline = dict(loss="none")
"""


NEEDS = """
config = "rooms_seg_bireal"
steps = 4
seeds = [0, 1]
needs = dict(twin={"model.partner": "none", "model.model.backbone.method": "fp"})
axes = dict(
    loss=dict(
        none={"model.partner": "none"},
        teacher={"model.partner": "teacher", "model.teacher": "{twin}"},
    ),
)
"""


# The same with a network, pictures and steps that cost next to nothing.
SMALL = ROOMS.replace(
    "options = {",
    """options = {
    "model.model.backbone.base_channels": 8,
    "model.model.decode_head.in_channels": 64,
    "model.model.decode_head.channels": 8,
    "model.pixels": 4,
    "train_dataloader.dataset.pipeline.1.crop_size": (32, 48),
    "train_dataloader.num_workers": 0,
    "train_dataloader.persistent_workers": False,
    "default_hooks.checkpoint.interval": 1,""",
).replace("reactnet", "xnor_net")
ROOT = Path(__file__).resolve().parents[3]
ENDS = {"limit": INTERRUPTED, "stuck": INTERRUPTED}


def write_suite(folder: Path, text: str = ROOMS, name: str = "small") -> Path:
    """A suite's file."""
    path = folder / f"{name}.py"
    path.write_text(f'"""A suite."""\n{text}')
    return path


def write_config(folder: Path, module: str, more: str = "") -> Path:
    """A config of the user beside ours, that imports a module of the user."""
    configs = ROOT / "configs"
    shutil.copytree(configs / "_base_", folder / "_base_")
    shutil.copy(configs / "rooms_seg_bireal.py", folder)
    path = folder / "my_rooms.py"
    path.write_text(
        f"from mmengine.config import read_base\n\nimport {module}\n\n"
        f"with read_base():\n    from .rooms_seg_bireal import *\n\n{more}\n"
    )
    return path


def words(tool: str, *more: object) -> list[str]:
    """The command line of a tool."""
    return [sys.executable, str(ROOT / "tools" / f"{tool}.py"), *map(str, more)]


def suite_words(suite: Path, rooms: Path, home: Path, *more: object) -> list[str]:
    """The command line of a suite, two runs at a time."""
    return words(
        "suite", suite, "--cfg-options", f"data_root={rooms}", "--results",
        home / "results", "--work-dir", home / "work", "--workers", 2, *more,
    )  # fmt: skip


def records(home: Path) -> dict[str, dict]:
    """The records below a folder, by key."""
    return {found["key"]: found for found in record.read_records(home / "results")}


def assert_same_records(home: Path, expected: Path) -> None:
    """Figures, losses and weights are equal to the last bit; times and places apart."""
    ours, theirs = records(home), records(expected)
    assert ours.keys() == theirs.keys()
    for key, found in ours.items():
        assert found["status"] == "ok", found.get("reason")
        assert len(found["weights"]) == 64
        for part in ("trace", "weights", "resolved", "options"):
            assert found[part] == theirs[key][part], (key, part)
        assert record.same_figures(found, theirs[key]), key
        assert found["code"]["digest"] == theirs[key]["code"]["digest"]


def run_named(key: str, needs: str | None = None, seed: int = 0) -> PlannedRun:
    """A plan of one run that reads no config."""
    return PlannedRun(
        key=key,
        suite="none",
        labels={"run": key},
        config="none",
        options={} if needs is None else {"model.teacher": f"run:{needs}"},
        seed=seed,
        division="open",
        threads=1,
        resolved={"train_cfg": {"max_iters": 1}},
    )


class FakeEngine(Engine):
    """Ends runs at once, as ``outcomes`` say: a list of ends for each key.

    ``"ok"`` writes a checkpoint and a record, ``"failed"`` one with a reason, a number
    is the signal that killed the process. ``"limit"`` is a cluster's time limit behind
    a checkpoint, ``"stuck"`` one without.
    """

    def __init__(self, outcomes: dict[str, list], slots: int | None = 1) -> None:
        self.outcomes = {key: list(ends) for key, ends in outcomes.items()}
        self.slots = slots
        self.order: list[str] = []
        self.folders: dict[str, Path] = {}
        self.most = 0
        self.stopped = False
        self._now: dict[str, tuple[PlannedRun, Path]] = {}

    def start(self, key: str, job: Path, threads: int) -> None:
        content = json.loads(job.read_text())
        run = PlannedRun(**content["run"])
        self._now[key] = (run, Path(content["results"]))
        self.folders[key] = job.parent
        self.order.append(key)
        self.most = max(self.most, len(self._now))

    def ended(self) -> dict[str, int]:
        found = {}
        for key, (run, results) in self._now.items():
            end = self.outcomes.get(key, ["ok"]).pop(0)
            if end == "ok":
                weights = self._train(key)
                content = {**record.failed(run, ""), "status": "ok", "test": {}}
                record.write_record(results, run, {**content, "weights": weights})
            elif end == "failed":
                record.write_record(results, run, record.failed(run, "no data"))
            elif end == "limit":
                self._train(key, half=True)
            found[key] = -end if isinstance(end, int) else ENDS.get(end, 0)
        self._now.clear()
        return found

    def _train(self, key: str, half: bool = False) -> str:
        """Write a checkpoint into the run's folder; its digest."""
        path = self.folders[key] / "last.pth"
        weight = torch.tensor([0.5 if half else 1.0])
        torch.save({"state_dict": {"weight": weight}}, path)
        return record.weights_digest(path)

    def stop(self) -> None:
        self.stopped = True
