"""Mixed precision that also trains on a CPU."""

from __future__ import annotations

from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """bfloat16 autocast on any device, without loss scaling.

    mmengine's ``AmpOptimWrapper`` refuses CPUs. bfloat16 has the exponent of float32,
    so gradients need no scaling; master weights and optimizer states stay float32.

    Args:
        optimizer: As in mmengine.
        accumulative_counts: As in mmengine.
        clip_grad: As in mmengine.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict | None = None,
    ) -> None:
        super().__init__(optimizer, accumulative_counts, clip_grad)

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Autocast the forward pass."""
        device = next(model.parameters()).device.type
        with (
            super().optim_context(model),
            torch.autocast(device, dtype=torch.bfloat16),
        ):
            yield
