"""Classification of whole images as a task: what others ask of it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from cmim.functional.ensemble import log_mean_softmax
from cmim.task import Labels, Task
from tasks.classification.metrics import right_share


def fill_label(logits: Tensor, samples: list) -> None:
    """``pred_logits`` ``(K,)`` and ``pred_label`` ``()`` int64 of each sample."""
    rows = zip(samples, logits, logits.argmax(dim=1), strict=True)
    for sample, row, label in rows:
        sample.set_data(dict(pred_logits=row, pred_label=label))


def random_label(
    generator: torch.Generator, size: tuple[int, int], head: Mapping
) -> Tensor:
    """A class of the head."""
    return torch.randint(0, head.get("num_classes", 40), (), generator=generator)


TASK = Task(
    name="classes",
    truth="gt_label",
    prediction="pred_logits",
    fill=fill_label,
    figure="top1",
    channels=0,
    answer="fc",
    labels=Labels("class", "classes", "labels", lambda classes: classes),
    synthesize=random_label,
    average=log_mean_softmax,
    of_sums=right_share,
)
