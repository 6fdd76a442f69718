"""Weights by progress: a task whose loss falls slowly weighs more.

Checked: against github.com/lorenmt/mtan, commit c36c30b: weights at most 4.4e-16 apart
in float64 (1.2e-7 in float32).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce
from mmseg.registry import MODELS
from torch import Tensor

from tasks.multitask.weighting.task_weights import TaskWeights, present_anywhere


def dynamic_weights(last: Tensor, before: Tensor, temperature: float) -> Tensor:
    r"""Tasks whose loss falls slowly weigh more.

    .. math::
        \lambda_k = K \frac{\exp(w_k / T)}{\sum_i \exp(w_i / T)}, \qquad
        w_k = \frac{L_k(t - 1)}{L_k(t - 2)}

    w is 1 where one of the two losses is not known yet (0).

    Args:
        last: Mean loss of each task in the last epoch, 0 for unknown.
        before: In the epoch before that one.
        temperature: T > 0; large values make the weights equal.

    Shape:
        Both ``(K,)``; output the same, of sum K.

    References:
        Liu, Johns, Davison, End-to-End Multi-Task Learning with Attention, CVPR 2019.
        https://arxiv.org/abs/1803.10704

    Examples:
        The first task's loss is halved, the second's has not changed.

        >>> now, then = torch.tensor([1.0, 1.0]), torch.tensor([2.0, 1.0])
        >>> weights = dynamic_weights(now, then, temperature=2.0)
        >>> round((weights[1] / weights[0]).log().item(), 4), weights.sum().item()
        (0.25, 2.0)
    """
    # A loss that is NaN is no unknown one: its weight is NaN and stops the training.
    known = ~(last <= 0) & ~(before <= 0)
    ratio = torch.where(known, last / torch.where(known, before, 1.0), 1.0)
    # Nor does an unknown epoch beside it, or an infinite one below it, hide it.
    diverged = ~(last.isfinite() & before.isfinite())
    ratio = torch.where(diverged, torch.nan, ratio)
    return len(ratio) * (ratio / temperature).softmax(dim=0)


@MODELS.register_module()
class DynamicWeights(TaskWeights):
    """Dynamic weight average; formula in :func:`dynamic_weights`.

    An epoch is a number of steps here, as training is counted in steps. The sums of the
    running epoch and the means of the last two are buffers, the same on all processes:
    a resumed run continues exactly. Steps in which a task has no ground truth do not
    count for it.

    Args:
        tasks: Names of the tasks; the model gives them.
        steps_per_epoch: Steps over which losses are averaged: frames / batch size /
            number of processes, 50 for 795 frames in batches of 16.
        temperature: T > 0; 2 in the paper.

    Raises:
        ValueError: An epoch without steps, or a temperature that is not positive.
    """

    sums: Tensor
    counts: Tensor
    history: Tensor
    step: Tensor

    def __init__(
        self, tasks: Sequence[str], steps_per_epoch: int = 50, temperature: float = 2.0
    ) -> None:
        super().__init__(tasks)
        if steps_per_epoch < 1 or not temperature > 0:
            raise ValueError(
                "steps_per_epoch must be at least 1 and temperature positive, got "
                f"{steps_per_epoch} and {temperature}"
            )
        self.steps_per_epoch = steps_per_epoch
        self.temperature = temperature
        count = len(self.tasks)
        self.register_buffer("sums", torch.zeros(count))
        self.register_buffer("counts", torch.zeros(count))
        # The last epoch, and the one before.
        self.register_buffer("history", torch.zeros(2, count))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(
        self, totals: Sequence[Tensor], present: Sequence[bool]
    ) -> tuple[Sequence[Tensor | float], dict[str, Tensor]]:
        last, before = self.history
        weights = dynamic_weights(last, before, self.temperature)
        if self.training:
            self._record(torch.stack([t.detach().float() for t in totals]), present)
        return weights.unbind(), {}

    @torch.no_grad()
    def _record(self, values: Tensor, present: Sequence[bool]) -> None:
        # Of a task that some processes lack the losses are shares, whose average is
        # the loss of the joined batch.
        all_reduce(values, "mean")
        here = present_anywhere(present, values)
        sums, counts = self.sums + values * here, self.counts + here
        self.step += 1
        # Decided on the device: reading the counter would wait for it.
        ends = self.step % self.steps_per_epoch == 0
        mean = torch.where(counts > 0, sums / counts.clamp(min=1), self.history[0])
        moved = torch.stack([mean, self.history[0]])
        self.history.copy_(torch.where(ends, moved, self.history))
        self.sums.copy_(torch.where(ends, 0.0, sums))
        self.counts.copy_(torch.where(ends, 0.0, counts))


WEIGHTING = DynamicWeights
