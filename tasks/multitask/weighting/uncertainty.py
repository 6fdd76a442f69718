"""Weights that are learned with the uncertainty of each task.

Checked: against github.com/lorenmt/mtan, commit c36c30b: losses weighed by uncertainty
equal; it takes all tasks for regressions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.task import get_task
from tasks.multitask.weighting.task_weights import TaskWeights, present_anywhere


def uncertainty_terms(
    log_variances: Tensor, regression: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Factors of the task losses, and what is added to them.

    .. math::
        L = \sum_{t\ \mathrm{regression}} \frac{1}{2 \sigma_t^2} L_t + \log \sigma_t
          + \sum_{t\ \mathrm{classification}} \frac{1}{\sigma_t^2} L_t + \log \sigma_t,
        \qquad s_t = \log \sigma_t^2

    so the factor is ``exp(-s)``, halved for a regression, and ``s / 2`` is added. The
    sum can be negative. The first form is that of a Gaussian; the paper uses it for L1
    errors of depth too, and so it is used here for all errors that are distances.

    Args:
        log_variances: s.
        regression: Which tasks are regressions.

    Shape:
        Both ``(K,)``; two outputs ``(K,)``.

    References:
        Kendall, Gal, Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses for
        Scene Geometry and Semantics, CVPR 2018.
        https://arxiv.org/abs/1705.07115

    Examples:
        >>> factors, added = uncertainty_terms(
        ...     torch.tensor([0.0, 2.0]), torch.tensor([True, False]))
        >>> factors, added
        (tensor([0.5000, 0.1353]), tensor([0., 1.]))
    """
    halves = torch.where(regression, 0.5, 1.0).to(log_variances)
    return halves * (-log_variances).exp(), log_variances / 2


@MODELS.register_module()
class UncertaintyWeights(TaskWeights):
    """Learned log-variances; formula in :func:`uncertainty_terms`.

    They start at 0 and are in the state dict (``weighting.log_variances``). Weight
    decay pulls them to equal weights; to spare them set
    ``optim_wrapper.paramwise_cfg=dict(custom_keys={'log_variances':
    dict(decay_mult=0)})``. A task without ground truth in the batch leaves its
    log-variance alone.

    Args:
        tasks: Names of the tasks; the model gives them.
    """

    regression: Tensor

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__(tasks)
        self.log_variances = nn.Parameter(torch.zeros(len(self.tasks)))
        kinds = torch.tensor([get_task(task).regression for task in self.tasks])
        self.register_buffer("regression", kinds, persistent=False)

    def forward(
        self, totals: Sequence[Tensor], present: Sequence[bool]
    ) -> tuple[Sequence[Tensor | float], dict[str, Tensor]]:
        factors, added = uncertainty_terms(self.log_variances, self.regression)
        here = present_anywhere(present, added)
        return factors.unbind(), {"weighting.loss_uncertainty": (added * here).sum()}


WEIGHTING = UncertaintyWeights
