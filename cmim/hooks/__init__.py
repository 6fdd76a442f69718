"""Hooks of the training loop, one per file."""

import cmim.safe_loading  # noqa: F401
from cmim.hooks.clip_latent_weights import ClipLatentWeights
from cmim.hooks.gradual_binarization import GradualBinarization
from cmim.hooks.recalibrate_batch_norm import RecalibrateBatchNorm
from cmim.hooks.record_flips import RecordFlips
from cmim.hooks.record_timing import RecordTiming
from cmim.hooks.record_trace import RecordTrace
from cmim.hooks.save_checkpoint import SaveCheckpoint
from cmim.hooks.seed_steps import SeedSteps
from cmim.hooks.set_progress import SetProgress
from cmim.hooks.stop_early import StopEarly
from cmim.hooks.stop_when_diverged import DivergedError, StopWhenDiverged

__all__ = [
    "ClipLatentWeights",
    "DivergedError",
    "GradualBinarization",
    "RecalibrateBatchNorm",
    "RecordFlips",
    "RecordTiming",
    "RecordTrace",
    "SaveCheckpoint",
    "SeedSteps",
    "SetProgress",
    "StopEarly",
    "StopWhenDiverged",
]
