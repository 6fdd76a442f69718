"""What all weightings of tasks share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class TaskWeights(nn.Module):
    """Base of the weightings: the tasks and their order.

    Args:
        tasks: Names of the tasks.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)

    def forward(
        self, totals: Sequence[Tensor], present: Sequence[bool]
    ) -> tuple[Sequence[Tensor | float], dict[str, Tensor]]:
        """Weights of one step.

        Args:
            totals: Loss of each task.
            present: Whether the batch has ground truth of the task at all.

        Returns:
            A weight a task, and further entries for the dictionary of losses.
        """
        raise NotImplementedError


def on_device(flags: Sequence[bool], like: Tensor) -> Tensor:
    """Which tasks count, as numbers beside a tensor.

    Args:
        flags: A truth value for each task.
        like: Gives type and device.
    """
    # From pageable memory this does not wait for the device.
    return torch.tensor(flags, dtype=like.dtype).to(like.device, non_blocking=True)
