"""Top-k and loss against naive loops; ties, NaN, batches, processes."""

import math
import random
from importlib import import_module

import numpy as np
import pytest
import torch

from tasks.classification import ClassificationMetric
from tasks.classification.metrics import label_ranks


def samples(logits: np.ndarray, labels: list[int]) -> list[dict]:
    return [
        dict(pred_logits=torch.tensor(row), gt_label=label)
        for row, label in zip(logits, labels, strict=True)
    ]


def evaluate(data: list[dict], batch: int, **options) -> dict[str, float]:
    metric = ClassificationMetric(**options)
    for start in range(0, len(data), batch):
        metric.process(None, data[start : start + batch])
    return metric.evaluate(size=len(data))


@pytest.fixture
def data() -> list[dict]:
    generator = np.random.default_rng(3)
    # Coarse values: many ties.
    logits = generator.integers(-4, 5, size=(61, 12)).astype(np.float32)
    return samples(logits, generator.integers(0, 12, size=61).tolist())


def test_figures_equal_the_naive_ones(data):
    losses, first, fifth = [], 0, 0
    for sample in data:
        x, k = sample["pred_logits"].double().numpy(), sample["gt_label"]
        losses.append(math.log(sum(math.exp(v - x[k]) for v in x)))
        # A stable sort: the lower of two equal classes comes first.
        order = sorted(range(len(x)), key=lambda j: -x[j])
        first += k == order[0]
        fifth += k in order[:5]
    figures = evaluate(data, 7)
    assert figures["top1"] == 100 * first / 61
    assert figures["top5"] == 100 * fifth / 61
    assert figures["loss"] == pytest.approx(np.mean(losses), rel=1e-12)
    argmax = [int(s["pred_logits"].argmax()) == s["gt_label"] for s in data]
    assert first == sum(argmax)


def test_figures_do_not_depend_on_batches_or_order(data):
    expected = evaluate(data, 61)
    shuffled = data.copy()
    random.Random(0).shuffle(shuffled)
    assert evaluate(data, 1) == expected
    assert evaluate(data, 8) == expected
    assert evaluate(shuffled, 5) == expected


def test_repeated_images_of_a_distributed_batch_are_trimmed(data):
    metric = ClassificationMetric()
    metric.process(None, [*data, data[0]])
    assert metric.evaluate(size=61) == evaluate(data, 61)


@pytest.mark.parametrize("classes", [2, 5, 6])
def test_top5_is_left_out_where_it_says_nothing(classes):
    figures = evaluate(samples(np.zeros((3, classes)), [0, 1, 1]), 3)
    assert ("top5" in figures) == (classes > 5)
    assert figures["top1"] == 100 / 3


def test_a_diverged_network_is_wrong_and_seen():
    logits = np.full((4, 10), np.nan)
    figures = evaluate(samples(logits, [0, 1, 2, 3]), 2)
    assert figures["top1"] == figures["top5"] == 0
    assert math.isnan(figures["loss"])


def test_huge_logits_keep_a_finite_loss():
    logits = np.array([[1e4, 0.0], [1e4, 0.0]], np.float32)
    assert evaluate(samples(logits, [0, 1]), 2)["loss"] == 5000


def test_bfloat16_logits_are_taken(data):
    halved = [dict(s, pred_logits=s["pred_logits"].bfloat16()) for s in data]
    assert evaluate(halved, 9) == evaluate(data, 9)


def test_wrong_input_is_said(data):
    with pytest.raises(ValueError, match="topk must be numbers from 1 on"):
        ClassificationMetric(topk=(0,))
    with pytest.raises(TypeError):
        ClassificationMetric(top_k=(1,))
    with pytest.raises(ValueError, match=r"labels hold \[12\].*classes 0 to 11"):
        evaluate([dict(data[0], gt_label=12)], 1)
    with pytest.raises(ValueError, match="no image was evaluated"):
        ClassificationMetric().compute_metrics([])
    with pytest.raises(ValueError, match="expected"):
        label_ranks(torch.zeros(2, 3), torch.zeros(3, dtype=torch.long))


@pytest.mark.parametrize("task", ["classification", "depth", "edges", "normals"])
def test_a_metric_without_a_prefix_warns_of_nothing(task):
    """mmengine warns on the screen where a metric leaves its prefix open."""
    name = {"edges": "Edge", "normals": "Normal"}.get(task, task.capitalize())
    metric = getattr(import_module(f"tasks.{task}.metrics"), f"{name}Metric")()
    assert metric.prefix == ""
