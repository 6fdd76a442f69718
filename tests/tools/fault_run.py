"""Runs a tool in this process, as a user would, and judges how it says a fault."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from in_process import run_in_process

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "configs/rooms_seg_bireal.py"
# A network and pictures that take a second.
TINY = {
    "model.model.backbone.base_channels": 8,
    "model.model.decode_head.in_channels": 64,
    "model.model.decode_head.channels": 8,
    "model.queue": 40,
    "model.pixels": 4,
    "train_dataloader.batch_size": 2,
    "train_dataloader.num_workers": 0,
    "train_dataloader.persistent_workers": False,
    "train_dataloader.prefetch_factor": None,
    "train_dataloader.dataset.pipeline.1.base_size": "(48,64)",
    "train_dataloader.dataset.pipeline.1.crop_size": "(32,48)",
    "val_dataloader.num_workers": 0,
    "val_dataloader.dataset.pipeline.1.size": "(48,64)",
    "test_dataloader.num_workers": 0,
    "test_dataloader.dataset.pipeline.1.size": "(48,64)",
    "train_cfg.max_iters": 2,
    "train_cfg.val_interval": 2,
}


@dataclass
class Outcome:
    """What a user sees of a tool that ended."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The sentence of the error."""
        lines = [x for x in self.err.splitlines() if x.startswith("error: ")]
        return lines[-1] if lines else ""


def options(**changes: object) -> list[str]:
    """``--cfg-options`` of the tiny network, some changed."""
    return ["--cfg-options", *(f"{k}={v}" for k, v in (TINY | changes).items())]


def run(tool: str, *words: object) -> Outcome:
    """Run ``tools/TOOL.py`` with a command line."""
    done = run_in_process(tool, *words)
    return Outcome(done.returncode, done.stdout, done.stderr)


def assert_said(outcome: Outcome, *words: str, status: tuple[int, ...] = (2,)) -> None:
    """One sentence, no traceback, every word in it, an exit status of these."""
    text = outcome.out + outcome.err
    assert "Traceback (most recent" not in text
    assert outcome.status in status, outcome
    assert outcome.error, outcome
    assert outcome.err.count("error: ") == 1, outcome.err
    missing = [word for word in words if word not in outcome.error]
    assert not missing, (missing, outcome.error)
    kept = re.search(r"its traceback is in (\S+)\)", outcome.error)
    assert (kept is not None) == (outcome.status == 1), outcome.error
    if kept:
        assert Path(kept[1]).is_relative_to(tempfile.gettempdir())
        Path(kept[1]).unlink()


@contextlib.contextmanager
def rights_of_a_user() -> Iterator[None]:
    """Root reads and writes what the modes forbid; not in here (on Linux)."""
    if os.geteuid():
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    held = (ctypes.c_uint32 * 6)()
    assert libc.capget(head, held) == 0
    fewer = (ctypes.c_uint32 * 6)(*held)
    fewer[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, of those in effect
    assert libc.capset(head, fewer) == 0
    try:
        yield
    finally:
        assert libc.capset(head, held) == 0
