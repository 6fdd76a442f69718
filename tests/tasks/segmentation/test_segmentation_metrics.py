"""Segmentation metrics against a naive count and values derived by hand."""

from __future__ import annotations

import math

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample
from torch import Tensor

from tasks.segmentation import metrics as module
from tasks.segmentation.metrics import (
    SegmentationMetric,
    confusion_matrix,
    segmentation_figures,
)

CLASSES = 5


def sample_of(pred: Tensor, target: Tensor) -> dict:
    return {
        "pred_sem_seg": {"data": pred},
        "gt_sem_seg": {"data": target},
        "img_path": "rooms/7.png",
    }


def random_samples(count: int = 11) -> list[dict]:
    """Class 4 is nowhere, class 3 only predicted; a tenth is ignored."""
    generator = torch.Generator().manual_seed(0)
    samples = []
    for _ in range(count):
        pred = torch.randint(0, 4, (1, 6, 8), generator=generator)
        target = torch.randint(0, 3, (1, 6, 8), generator=generator)
        target[torch.rand(1, 6, 8, generator=generator) < 0.1] = 255
        samples.append(sample_of(pred, target))
    return samples


def evaluate(samples: list[dict], batch_size: int = 1, **options) -> dict:
    metric = SegmentationMetric(**{"num_classes": CLASSES, **options})
    for start in range(0, len(samples), batch_size):
        metric.process(None, samples[start : start + batch_size])
    return metric.evaluate(size=len(samples))


def naive_figures(samples: list[dict]) -> dict:
    """Intersections and unions as sets of pixel positions."""
    truth: dict[int, set] = {c: set() for c in range(CLASSES)}
    guess: dict[int, set] = {c: set() for c in range(CLASSES)}
    for index, sample in enumerate(samples):
        pred = sample["pred_sem_seg"]["data"].flatten().tolist()
        target = sample["gt_sem_seg"]["data"].flatten().tolist()
        for position, (p, t) in enumerate(zip(pred, target, strict=True)):
            if t != 255:
                guess[p].add((index, position))
                truth[t].add((index, position))
    hits = {c: len(truth[c] & guess[c]) for c in range(CLASSES)}
    unions = {c: len(truth[c] | guess[c]) for c in range(CLASSES)}
    ious = [hits[c] / unions[c] for c in range(CLASSES) if unions[c]]
    recalls = [hits[c] / len(truth[c]) for c in range(CLASSES) if truth[c]]
    pixels = sum(len(found) for found in truth.values())
    return {
        "mIoU": 100 * sum(ious) / len(ious),
        "pixel_accuracy": 100 * sum(hits.values()) / pixels,
        "mean_accuracy": 100 * sum(recalls) / len(recalls),
    }


def test_matches_a_naive_count():
    samples = random_samples()
    figures = evaluate(samples)
    assert figures.pop("measured_share") == 1
    assert list(figures) == ["mIoU", "pixel_accuracy", "mean_accuracy"]
    assert figures == pytest.approx(naive_figures(samples), rel=1e-12)


def test_hand_values():
    target = torch.tensor([[[0, 0, 0, 0, 1, 1]]])
    pred = torch.tensor([[[0, 0, 0, 1, 1, 0]]])
    # IoU 3 / 5 and 1 / 3; recall 3 / 4 and 1 / 2; 4 of 6 right.
    figures = evaluate([sample_of(pred, target)])
    assert figures["mIoU"] == pytest.approx(100 * (3 / 5 + 1 / 3) / 2)
    assert figures["pixel_accuracy"] == pytest.approx(100 * 4 / 6)
    assert figures["mean_accuracy"] == pytest.approx(62.5)


def test_rows_are_the_ground_truth():
    matrix = confusion_matrix(torch.tensor([2, 2]), torch.tensor([0, 1]), 3)
    assert matrix.tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 0]]
    assert matrix.dtype == torch.int64


def test_perfect_prediction_is_a_hundred_percent():
    target = torch.tensor([[[0, 1, 4, 255]]])
    figures = evaluate([sample_of(target.clamp(max=4), target)])
    assert figures.pop("measured_share") == 1
    assert set(figures.values()) == {100.0}


@pytest.mark.parametrize("batch_size", [3, 7, 11])
def test_figures_are_the_same_for_any_batch_size(batch_size):
    samples = random_samples()
    assert evaluate(samples, batch_size) == evaluate(samples, 1)


def test_padding_of_a_distributed_sampler_is_trimmed():
    samples = random_samples()
    metric = SegmentationMetric(num_classes=CLASSES)
    metric.process(None, [*samples, samples[0], samples[1]])
    assert metric.evaluate(size=len(samples)) == evaluate(samples)


def test_one_matrix_for_the_data_set_not_a_mean_over_images():
    right = sample_of(torch.zeros(1, 1, 3).long(), torch.zeros(1, 1, 3).long())
    wrong = sample_of(torch.ones(1, 1, 1).long(), torch.zeros(1, 1, 1).long())
    # IoU of class 0 is 3 / 4, of class 1 is 0; a mean over images would be 50.
    assert evaluate([right, wrong])["mIoU"] == pytest.approx(37.5)


@pytest.mark.parametrize("ignore_index", [255, 0, -1])
def test_ignored_pixels_count_nowhere(ignore_index):
    target = torch.tensor([1, 2, ignore_index, ignore_index])
    matrix = confusion_matrix(torch.tensor([1, 2, 3, 99]), target, 4, ignore_index)
    assert matrix.sum() == 2
    assert matrix.diagonal().tolist() == [0, 1, 1, 0]


def test_absent_and_only_predicted_classes():
    matrix = torch.zeros(4, 4, dtype=torch.int64)
    matrix[0, 0], matrix[0, 1], matrix[2, 2] = 1, 1, 2
    figures = segmentation_figures(matrix)
    # Class 1 is only predicted: IoU 0, no accuracy. Class 3 is absent from both.
    assert figures["iou"].tolist() == pytest.approx([50, 0, 100, math.nan], nan_ok=True)
    expected = [50, math.nan, 100, math.nan]
    assert figures["accuracy"].tolist() == pytest.approx(expected, nan_ok=True)
    assert figures["mIoU"] == 50
    assert figures["mean_accuracy"] == 75


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
def test_narrow_label_types_do_not_wrap(dtype):
    # 39 * 40 + 39 = 1599 is far above what uint8 holds.
    labels = torch.full((4,), 39, dtype=dtype)
    assert confusion_matrix(labels, labels, 40)[39, 39] == 4


def test_relabelling_the_classes_permutes_the_matrix():
    sample = random_samples(1)[0]
    pred, target = sample["pred_sem_seg"]["data"], sample["gt_sem_seg"]["data"]
    order = torch.tensor([3, 0, 4, 1, 2])
    lookup = torch.full((256,), 255)
    lookup[:CLASSES] = order
    matrix = confusion_matrix(pred, target, CLASSES)
    renamed = confusion_matrix(lookup[pred], lookup[target], CLASSES)
    assert torch.equal(renamed[order][:, order], matrix)


def test_classes_come_from_the_data_set():
    metric = SegmentationMetric()
    metric.dataset_meta = {"classes": ["wall", "floor"]}
    labels = torch.tensor([[[0, 1]]])
    metric.process(None, [sample_of(labels, labels)])
    assert metric.results[0][0].shape == (2, 2)


def test_per_class_table_names_the_classes(monkeypatch):
    printed: list[str] = []
    monkeypatch.setattr(module, "print_log", lambda text, logger: printed.append(text))
    metric = SegmentationMetric(per_class=True)
    metric.dataset_meta = {"classes": ("wall", "floor", "night stand")}
    labels = torch.tensor([[[0, 0, 1]]])
    metric.process(None, [sample_of(torch.tensor([[[0, 1, 1]]]), labels)])
    assert "iou" not in metric.evaluate(size=1)
    lines = [line.split() for line in printed[0].splitlines()[1:]]
    assert lines == [
        ["class", "IoU", "acc"],
        ["wall", "50.00", "50.00"],
        ["floor", "50.00", "100.00"],
        ["night", "stand", "nan", "nan"],
    ]


def test_works_through_the_evaluator_with_data_samples():
    sample = SegDataSample(metainfo={"img_path": "a.png"})
    sample.pred_sem_seg = PixelData(data=torch.zeros(1, 2, 2, dtype=torch.int64))
    sample.gt_sem_seg = PixelData(data=torch.tensor([[[0, 0], [1, 255]]]).byte())
    metric = METRICS.build(
        {"type": "SegmentationMetric", "num_classes": 2, "prefix": "seg"}
    )
    evaluator = Evaluator([metric])
    evaluator.process([sample])
    assert evaluator.evaluate(1)["seg/pixel_accuracy"] == pytest.approx(200 / 3)


@pytest.mark.parametrize("key", ["pred_sem_seg", "gt_sem_seg"])
@pytest.mark.parametrize("label", [-1, 5, 254])
def test_labels_out_of_range_are_named_with_the_image(key, label):
    sample = sample_of(torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 2).long())
    sample[key]["data"][0, 1, 1] = label
    with pytest.raises(ValueError, match=rf"rooms/7.png: .* holds \[{label}\]"):
        evaluate([sample])


def test_scores_instead_of_labels_are_refused():
    with pytest.raises(ValueError, match=r"prediction has dtype torch\.float32"):
        confusion_matrix(torch.zeros(2), torch.zeros(2).long(), 2)


def test_wrong_shapes_are_named_with_the_image():
    sample = sample_of(torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 3).long())
    with pytest.raises(ValueError, match=r"7.png: .*\(1, 2, 2\).*\(1, 2, 3\)"):
        evaluate([sample])


def test_number_of_classes_must_be_known_and_agree():
    with pytest.raises(ValueError, match="number of classes is unknown"):
        SegmentationMetric().process(None, random_samples(1))
    metric = SegmentationMetric(num_classes=3)
    metric.dataset_meta = {"classes": ["wall", "floor"]}
    with pytest.raises(ValueError, match="num_classes is 3 but the data set names 2"):
        metric.process(None, random_samples(1))


def test_data_set_without_labels_is_refused():
    ignored = sample_of(torch.zeros(1, 2, 2).long(), torch.full((1, 2, 2), 255))
    with pytest.raises(ValueError, match="the test data have none"):
        evaluate([ignored])
    with pytest.raises(ValueError, match="no image was evaluated"):
        SegmentationMetric().compute_metrics([])
    with pytest.raises(ValueError, match="expected"):
        segmentation_figures(torch.ones(2, 3))


def one_image(metric, pred, target):
    sample = {
        "gt_sem_seg": {"data": torch.tensor([[target]])},
        "pred_sem_seg": {"data": torch.tensor([[pred]])},
    }
    metric.process(None, [sample])
    return metric.evaluate(size=1)


def test_one_class_alone_is_refused_with_the_line_to_write():
    metric = SegmentationMetric()
    metric.dataset_meta = dict(classes=["fg"])
    with pytest.raises(ValueError, match=r"classes=\['background', 'fg'\]"):
        one_image(metric, [0, 0], [0, 255])


def test_a_class_that_is_ignored_lowers_the_share_that_was_measured():
    metric = SegmentationMetric(num_classes=2, ignore_index=0)
    assert one_image(metric, [1, 1, 1], [0, 1, 1])["measured_share"] == 2 / 3
    metric = SegmentationMetric(num_classes=2)
    assert one_image(metric, [1, 1, 1], [255, 1, 1])["measured_share"] == 1
    metric = SegmentationMetric(num_classes=2, ignore_index=1)
    with pytest.raises(ValueError, match=r"nothing was measured, of 3 .* class 1"):
        one_image(metric, [1, 1, 1], [1, 1, 1])


def test_each_class_has_its_figures_and_an_absent_one_none():
    metric = SegmentationMetric()
    metric.dataset_meta = dict(classes=["road", "car", "sky"])
    one_image(metric, [0, 1, 0], [0, 0, 0])
    road = dict(iou=66.6667, accuracy=66.6667)
    car, sky = dict(iou=0.0, accuracy=None), dict(iou=None, accuracy=None)
    assert metric.classes_measured == dict(road=road, car=car, sky=sky)
