"""The run that --resume continues: its checkpoint, or only its record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from cmim.checkpoint import CheckpointError, read_checkpoint
from cmim.engine.config import ConfigError
from cmim.engine.run_folder import recorded_config
from cmim.engine.runner import RESUMABLE, last_whole_checkpoint


class EarlierRun(NamedTuple):
    """What a run was started with.

    Attributes:
        source: The file that says so.
        meta: ``seed``, ``max_iters`` and the like, as far as it says.
        text: Its config as text; empty where it is not known.
    """

    source: str
    meta: dict[str, Any]
    text: str


def find_earlier(folder: str | Path) -> EarlierRun | None:
    """The run in a folder, or None where none has begun.

    Whether its checkpoint is of this config's task, the runner compares that loads it.

    Args:
        folder: A run's folder.

    Raises:
        CheckpointError: There are checkpoints, and none can be resumed from.
    """
    whole = last_whole_checkpoint(folder)
    config = recorded_config(folder)
    recorded = "" if config is None else config.read_text()
    if whole is not None:
        meta = read_checkpoint(whole).get("meta")
        meta = meta if isinstance(meta, dict) else {}
        return EarlierRun(str(whole), meta, meta.get("cfg") or recorded)
    _refuse_damaged(Path(folder))
    if config is None:
        return None
    # Killed before its first checkpoint: it begins again, as it was begun.
    record = json.loads((Path(folder) / "run.json").read_text())
    return EarlierRun(str(config), {"seed": record.get("seed")}, recorded)


def _refuse_damaged(folder: Path) -> None:
    reasons = []
    for path in (folder / name for name in RESUMABLE):
        try:
            if path.exists():
                read_checkpoint(path)
                reasons.append(f"checkpoint '{path}' has no state of the optimizer")
        except CheckpointError as error:
            reasons.append(str(error).split(";")[0])
    if reasons:
        raise CheckpointError(
            f"nothing to resume from: {', and '.join(reasons)}; bring back a whole "
            "copy, or start afresh with --overwrite, which keeps the files"
        )


def check_steps_and_seed(
    config: Config, earlier: EarlierRun, seed: int | None
) -> int | None:
    """The seed of the run to continue; refuses another one, and other steps.

    Args:
        config: The config of now.
        earlier: The run to continue.
        seed: What the command line asks for, or None.

    Raises:
        ConfigError: Another seed or number of steps.
    """
    known = earlier.meta.get("seed", seed)
    if seed is not None and seed != known:
        raise ConfigError(
            f"'{earlier.source}' was trained with seed {known}, not {seed}; leave "
            "--seed out to continue it"
        )
    steps = earlier.meta.get("max_iters", config.train_cfg.max_iters)
    if steps != config.train_cfg.max_iters:
        raise ConfigError(
            f"'{earlier.source}' was started for {steps} steps, not "
            f"{config.train_cfg.max_iters}: its schedule would not fit; resume with "
            f"train_cfg.max_iters={steps}, or start another run"
        )
    return known
