"""Hooks of the training loop, one per file."""

from cmim.hooks.record_timing import RecordTiming
from cmim.hooks.save_checkpoint import SaveCheckpoint
from cmim.hooks.seed_steps import SeedSteps

__all__ = ["RecordTiming", "SaveCheckpoint", "SeedSteps"]
