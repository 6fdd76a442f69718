"""The record of a run: one small JSON, with all that its figures depend on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from cmim.checkpoint import read_checkpoint
from cmim.code_digest import code_digest, file_digests
from cmim.cpu_flags import cpu_flags, cpu_name
from cmim.digest import sha256_of
from cmim.engine.record import RunFigures, write_json
from cmim.inspect.summary import summarize
from cmim.json_file import JsonFileError, read_json
from cmim.suite.content import PROTOCOL
from cmim.suite.needs import needed_keys
from cmim.suite.plan import PlannedRun
from cmim.suite.record_parts import wrong_part
from cmim.task import known_tasks

# Instructions of a CPU that decide how fast, and in the last bits what, it computes.
FLAGS = {"avx2", "avx512f", "avx512_vpopcntdq", "avx512_bf16", "amx_bf16"}
FLAGS |= {"neon", "asimd"}
# Figures that no two runs share.
TIMES = (
    *("minutes", "seconds", "images_per_second", "data_wait_share"),
    *("peak_memory_gb", "latency"),
)


def ran(
    run: PlannedRun,
    folder: Path,
    figures: RunFigures,
    config: Config,
    code: Mapping[str, Any],
) -> dict[str, Any]:
    """The record of a finished run.

    Args:
        run: What was planned.
        folder: The run's folder, with checkpoint and trace.
        figures: What :func:`cmim.engine.train.train` has returned.
        config: Of the run.
        code: ``modules`` that its process has loaded, and their ``digest``.
    """
    begun = read_json(folder / "run.json")
    plain = {k: v for k, v in figures.items() if k not in ("test", "network", "seed")}
    return dict(
        **_head(run, "ok"),
        test=figures.get("test", {}),
        main=main_figures(figures.get("test", {})),
        network=figures.get("network"),
        cost={**plain, **summarize(config)["totals"]},
        trace=read_json(folder / "trace.json"),
        weights=weights_digest(folder / "last.pth"),
        precision=begun["precision"],
        versions=begun["versions"],
        machine=machine(begun["device"]),
        code=dict(code, commit=commit()),
    )


def main_figures(test: Mapping[str, Any]) -> dict[str, bool]:
    """The figures that stand for their tasks, and whether larger ones are better.

    Args:
        test: Figures by name, with the prefix of a joint model's head or without.

    Examples:
        >>> from tasks.depth import DepthMetric
        >>> main_figures({"depth/rmse": 1.0, "depth/delta1": 0.5})
        {'depth/rmse': False}
    """
    better = {task.figure: task.higher_is_better for task in known_tasks().values()}
    names = {name: name.rpartition("/")[2] for name in test}
    return {name: better[last] for name, last in names.items() if last in better}


def failed(run: PlannedRun, reason: str) -> dict[str, Any]:
    """The record of a run that ended without figures."""
    return dict(**_head(run, "failed"), reason=reason, machine=machine("cpu"))


def _head(run: PlannedRun, status: str) -> dict[str, Any]:
    return dict(
        protocol=PROTOCOL,
        key=run.key,
        status=status,
        suite=run.suite,
        division=run.division,
        labels=run.labels,
        baseline=run.baseline,
        seed=run.seed,
        config=run.config,
        options={k: v for k, v in run.options.items() if k != "data_root"},
        data=run.data,
        threads=run.threads,
        device=run.device,
        resolved=run.resolved,
    )


def record_path(results: Path, run: PlannedRun) -> Path:
    """Where the record of a run lies."""
    return results / run.suite / f"{run.key}.json"


def write_record(results: Path, run: PlannedRun, record: Mapping[str, Any]) -> Path:
    """Write a record, whole or not at all.

    Returns:
        Its path.
    """
    path = record_path(results, run)
    write_json(path, record)
    return path


def read_records(results: Path) -> list[dict[str, Any]]:
    """All records of a folder, each with its ``path``; damaged files are named.

    A record of other code than today's, of another protocol, or of a run that has read
    the checkpoint of a stale one, however many runs lie between, has the status
    ``stale`` here; the file stays as it was.

    Raises:
        JsonFileError: A file that is no record.
    """
    found: list[dict[str, Any]] = []
    files = file_digests()
    for path in sorted(results.rglob("*.json")):
        record = read_json(path)
        check_record(record, path)
        if record["status"] == "ok" and is_stale(record, files):
            record["status"] = "stale"
        found.append({**record, "path": str(path)})
    _pass_on(found)
    return found


def _pass_on(records: Sequence[dict[str, Any]]) -> None:
    """Mark as stale what has read a stale run's checkpoint, or one of such a run."""
    reached = [record for record in records if record["status"] == "stale"]
    while reached:
        stale = {record["key"] for record in reached}
        reached = [
            record
            for record in records
            if record["status"] == "ok" and needed_keys(record["options"]) & stale
        ]
        for record in reached:
            record["status"] = "stale"


def check_record(record: Mapping[str, Any], path: Path) -> None:
    """Refuse what is no record, whose parts are others, or names lead elsewhere.

    Raises:
        JsonFileError: Naming the file.
    """
    wanted = {"key", "status", "suite", "labels", "options", "protocol", "seed"}
    plain = re.compile(r"[\w-]+(\.[\w-]+)*")
    named = [str(record.get(name)) for name in ("key", "suite")]
    if not wanted <= set(record) or not all(map(plain.fullmatch, named)):
        raise JsonFileError(f"'{path}' is no record of a run; move it elsewhere")
    if wrong := wrong_part(record):
        raise JsonFileError(
            f"'{path}' is no record of a run: {wrong}; get it again from the run, or "
            "move it elsewhere"
        )


def is_stale(record: Mapping[str, Any], files: Mapping[str, str]) -> bool:
    """Whether the code or the protocol have changed since the run.

    Args:
        record: Of a run that has ended with figures.
        files: Today's code, see :func:`cmim.code_digest.file_digests`.
    """
    code = record.get("code", {})
    same = code.get("digest") == code_digest(code.get("modules", []), files)
    return record["protocol"] != PROTOCOL or not same


def weights_digest(checkpoint: str | Path) -> str:
    """SHA-256 of the weights of a checkpoint: names, types and bytes.

    The file itself holds times as well, so that no two runs write the same.
    """
    state = read_checkpoint(str(checkpoint))["state_dict"]
    parts: list[bytes] = []
    for name in sorted(state):
        values = state[name].detach().cpu().contiguous()
        parts.append(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        parts.append(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha256_of(*parts)


def same_figures(a: Any, b: Any) -> bool:
    """Whether two records say the same, apart from times and places.

    Examples:
        >>> same_figures({"mIoU": 8.5, "seconds": 3}, {"mIoU": 8.5, "seconds": 4})
        True
    """
    return _timeless(a) == _timeless(b)


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        left_out = {*TIMES, "machine", "versions", "command", "code", "path"}
        return {k: _timeless(v) for k, v in value.items() if k not in left_out}
    return value


def machine(device: str) -> dict[str, Any]:
    """The processor, and its instructions that matter."""
    return dict(
        cpu=cpu_name() or platform.processor() or platform.machine(),
        flags=sorted(FLAGS & (cpu_flags() or frozenset())),
        cores=os.cpu_count(),
        device=device,
        system=platform.system(),
    )


def commit() -> str | None:
    """The checkout's commit, with ``+`` where files differ; None outside of one."""
    here = Path(__file__).resolve().parents[2]
    try:
        head = _git(here, "rev-parse", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout.strip()
