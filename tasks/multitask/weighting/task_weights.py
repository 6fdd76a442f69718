"""What all weightings of tasks share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cmim.ranks import largest_anywhere


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


def present_anywhere(flags: Sequence[bool], like: Tensor) -> Tensor:
    """Which tasks have ground truth in the joined batch of all processes, as numbers.

    Args:
        flags: Whether this process has any, for each task.
        like: Gives type and device.
    """
    # From pageable memory this does not wait for the device.
    here = torch.tensor(flags, dtype=like.dtype).to(like.device, non_blocking=True)
    return largest_anywhere(here)
