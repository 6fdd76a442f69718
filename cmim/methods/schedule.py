"""Binarizers whose surrogate changes as training proceeds."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Scheduled(nn.Module):
    """A module with a training progress between 0 and 1.

    :class:`cmim.hooks.SetProgress` writes it before each training step. It is a buffer
    on the model's device, so it lies in every checkpoint and writing it does not wait.

    Examples:
        >>> module = Scheduled()
        >>> module.set_progress(0.25)
        >>> module.progress.item(), list(module.state_dict())
        (0.25, ['progress'])
    """

    progress: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("progress", torch.zeros(()))

    def set_progress(self, progress: float) -> None:
        """Set the share of training that is done.

        Args:
            progress: 0 at the first step, 1 at the end.

        Raises:
            ValueError: Outside [0, 1].
        """
        if not 0 <= progress <= 1:
            raise ValueError(f"progress must lie between 0 and 1, got {progress}")
        self.progress.fill_(progress)
