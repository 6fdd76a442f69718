"""Makes the random state of every training step a function of (seed, step, rank)."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class SeedSteps(Hook):
    """Seed torch, NumPy and Python before each step.

    A resumed run then draws what the uninterrupted one would have drawn, whatever
    happened in between (an evaluation, a loader restart): bit for bit on a CPU.

    Args:
        seed: Seed of the run; the runner's own seed when None.
    """

    priority = "VERY_HIGH"

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        seed = runner.seed if self.seed is None else self.seed
        words = np.random.SeedSequence([seed, runner.iter, get_rank()])
        state = int(words.generate_state(1)[0])
        torch.manual_seed(state)
        np.random.seed(state)  # noqa: NPY002 - libraries use the global generator
        random.seed(state)
