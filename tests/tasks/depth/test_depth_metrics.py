"""Depth metrics against a loop over pixels and values derived by hand."""

from __future__ import annotations

import math

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample
from torch import Tensor

from tasks.depth.metrics import DepthMetric, depth_figures, depth_sums, eigen_crop

FIGURES = "rmse rmse_per_image log_rmse abs_rel sq_rel log10 delta1 delta2 delta3"


def sample_of(pred: Tensor, target: Tensor) -> dict:
    return {
        "pred_depth_map": {"data": pred},
        "gt_depth_map": {"data": target},
        "img_path": "rooms/7.png",
    }


def random_samples(count: int = 11) -> list[dict]:
    generator = torch.Generator().manual_seed(0)
    samples = []
    for index in range(count):
        pred = 12 * torch.rand(1, 6, 8, generator=generator) - 1
        target = 11 * torch.rand(1, 6, 8, generator=generator)
        target[0, 0, :4] = torch.tensor([0.0, math.nan, math.inf, -2.0])
        if index == 4:
            target.zero_()
        samples.append(sample_of(pred, target))
    return samples


def evaluate(samples: list[dict], batch_size: int = 1, **options) -> dict:
    metric = DepthMetric(**options)
    for start in range(0, len(samples), batch_size):
        metric.process(None, samples[start : start + batch_size])
    return metric.evaluate(size=len(samples))


def naive_figures(samples: list[dict], low: float, high: float) -> dict:
    pairs, per_image = [], []
    for sample in samples:
        pred = sample["pred_depth_map"]["data"].flatten().tolist()
        target = sample["gt_depth_map"]["data"].flatten().tolist()
        image = [
            (min(max(p, low), high), t)
            for p, t in zip(pred, target, strict=True)
            if math.isfinite(t) and low <= t <= high
        ]
        pairs += image
        if image:
            squares = [(p - t) ** 2 for p, t in image]
            per_image.append(math.sqrt(sum(squares) / len(squares)))

    def mean(term) -> float:
        return sum(term(p, t) for p, t in pairs) / len(pairs)

    return {
        "rmse": math.sqrt(mean(lambda p, t: (p - t) ** 2)),
        "rmse_per_image": sum(per_image) / len(per_image),
        "log_rmse": math.sqrt(mean(lambda p, t: math.log(p / t) ** 2)),
        "abs_rel": mean(lambda p, t: abs(p - t) / t),
        "sq_rel": mean(lambda p, t: (p - t) ** 2 / t),
        "log10": mean(lambda p, t: abs(math.log10(p / t))),
        "delta1": mean(lambda p, t: max(p / t, t / p) < 1.25),
        "delta2": mean(lambda p, t: max(p / t, t / p) < 1.25**2),
        "delta3": mean(lambda p, t: max(p / t, t / p) < 1.25**3),
    }


@pytest.mark.parametrize("depth_range", [(0.1, 10.0), (2.0, 5.0)])
def test_matches_a_loop_over_pixels(depth_range):
    samples = random_samples()
    figures = evaluate(samples, depth_range=depth_range)
    figures.pop("measured_share")
    assert list(figures) == FIGURES.split()
    assert figures == pytest.approx(naive_figures(samples, *depth_range), rel=1e-12)


def test_hand_values():
    pred = torch.tensor([[[2.0, 1.0], [4.0, 1.25]]])
    target = torch.tensor([[[1.0, 2.0], [4.0, 1.0]]])
    figures = evaluate([sample_of(pred, target)])
    ln2, ln125 = math.log(2), math.log(1.25)
    assert figures == pytest.approx(
        {
            "rmse": math.sqrt((1 + 1 + 0 + 0.0625) / 4),
            "rmse_per_image": math.sqrt((1 + 1 + 0 + 0.0625) / 4),
            "log_rmse": math.sqrt((2 * ln2**2 + ln125**2) / 4),
            "abs_rel": (1 + 0.5 + 0 + 0.25) / 4,
            "sq_rel": (1 + 0.5 + 0 + 0.0625) / 4,
            "log10": (2 * ln2 + ln125) / math.log(10) / 4,
            # A ratio of exactly 1.25 is no delta1 hit; 2 > 1.25**3 is no hit at all.
            "delta1": 0.25,
            "delta2": 0.5,
            "delta3": 0.5,
            "measured_share": 1.0,
        },
        rel=1e-14,
    )


def test_perfect_prediction():
    target = torch.tensor([[[0.1, 3.0, 10.0]]], dtype=torch.float64)
    figures = evaluate([sample_of(target.clone(), target)])
    for name, value in figures.items():
        assert value == (name.startswith("delta") or name == "measured_share")


@pytest.mark.parametrize("batch_size", [3, 7, 11])
def test_figures_are_the_same_for_any_batch_size(batch_size):
    samples = random_samples()
    assert evaluate(samples, batch_size) == evaluate(samples, 1)


def test_padding_of_a_distributed_sampler_is_trimmed():
    samples = random_samples()
    metric = DepthMetric()
    metric.process(None, [*samples, samples[0], samples[1]])
    assert metric.evaluate(size=len(samples)) == evaluate(samples)


@pytest.mark.parametrize(
    ("depth", "clamped"),
    [(0.0, 0.1), (-3.0, 0.1), (50.0, 10.0), (math.inf, 10.0), (-math.inf, 0.1)],
)
def test_predictions_are_clamped_to_the_range(depth, clamped):
    target = torch.full((1, 2, 2), 2.0, dtype=torch.float64)
    figures = evaluate([sample_of(torch.full_like(target, depth), target)])
    expected = evaluate([sample_of(torch.full_like(target, clamped), target)])
    assert figures == expected
    assert figures["rmse"] == pytest.approx(abs(clamped - 2.0))
    assert all(math.isfinite(value) for value in figures.values())


def test_ground_truth_outside_the_range_is_not_evaluated():
    target = torch.tensor([0.5, 1.0, 5.0, 5.5, 0.0, -1.0, math.nan, math.inf])
    sums = depth_sums(torch.ones(8), target, depth_range=(1.0, 5.0))
    assert sums[:2].tolist() == [2.0, 16.0]


def test_infinite_upper_bound_still_drops_infinite_ground_truth():
    target = torch.tensor([1.0, math.inf])
    assert depth_sums(torch.ones(2), target, depth_range=(0.1, math.inf))[0] == 1


def test_nan_prediction_is_not_hidden():
    target = torch.ones(1, 1, 2)
    figures = evaluate([sample_of(torch.tensor([[[1.0, math.nan]]]), target)])
    assert math.isnan(figures["rmse"])
    assert figures["delta1"] == 0.5


def test_image_without_valid_pixels_contributes_nothing():
    samples = random_samples()
    without = samples[:4] + samples[5:]
    assert evaluate(samples) == evaluate(without)


def test_pixel_and_image_means_differ():
    target = torch.ones(2, 1, 4)
    target[1, 0, 1:] = 0
    pred = torch.ones(2, 1, 4)
    pred[1] = 3.0
    pairs = zip(pred, target, strict=True)
    figures = evaluate([sample_of(p[None], t[None]) for p, t in pairs])
    assert figures["rmse"] == pytest.approx(math.sqrt(4 / 5))
    assert figures["rmse_per_image"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((480, 640), (45, 471), (41, 601)),
        ((240, 320), (22, 235), (20, 300)),
        ((120, 160), (11, 118), (10, 150)),
        ((960, 1280), (90, 942), (82, 1202)),
    ],
)
def test_eigen_crop_rectangle(size, rows, columns):
    height, width = size
    assert eigen_crop(height, width) == (slice(*rows), slice(*columns))
    inside = [45 <= (i + 0.5) * 480 / height < 471 for i in range(height)]
    assert (inside.index(True), height - inside[::-1].index(True)) == rows


@pytest.mark.parametrize("size", [(480, 640), (240, 320)])
def test_eigen_region_evaluates_the_rectangle_only(size):
    rows, columns = eigen_crop(*size)
    target = torch.ones(1, *size)
    pred = torch.full((1, *size), 9.0)
    pred[:, rows, columns] = 1.0
    sample = sample_of(pred, target)
    assert evaluate([sample], region="eigen")["rmse"] == 0
    assert evaluate([sample], region="whole")["rmse"] > 0
    pred[0, rows.stop - 1, columns.start] = 2.0
    assert evaluate([sample], region="eigen")["rmse"] > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_sums_are_float64_whatever_the_prediction(dtype):
    pred, target = torch.tensor([2.0, 0.5], dtype=dtype), torch.tensor([1.0, 3.0])
    sums = depth_sums(pred, target)
    assert sums.dtype == torch.float64
    assert torch.equal(sums, depth_sums(pred.double(), target.double()))


def test_works_through_the_evaluator_with_data_samples():
    sample = SegDataSample(metainfo={"img_path": "a.png"})
    sample.pred_depth_map = PixelData(data=torch.full((1, 4, 4), 2.5))
    sample.gt_depth_map = PixelData(data=torch.full((1, 4, 4), 2.0))
    evaluator = Evaluator([DepthMetric(prefix="depth")])
    evaluator.process([sample, sample])
    assert evaluator.evaluate(2)["depth/rmse"] == 0.5


def test_registered_beside_the_metric_of_mmseg():
    metric = METRICS.build({"type": "CMIMDepthMetric", "region": "eigen"})
    assert isinstance(metric, DepthMetric)
    assert METRICS.get("DepthMetric") is not DepthMetric
    path = f"{DepthMetric.__module__}.{DepthMetric.__name__}"
    assert isinstance(METRICS.build({"type": path}), DepthMetric)


def test_no_valid_pixel_in_the_data_set():
    zero = torch.zeros(1, 2, 2)
    with pytest.raises(ValueError, match="the test data have none"):
        evaluate([sample_of(zero, zero)] * 2)
    with pytest.raises(ValueError, match="none of the 0 images"):
        depth_figures(torch.zeros(0, 9))
    with pytest.raises(ValueError, match="no image was evaluated"):
        DepthMetric().compute_metrics([])


@pytest.mark.parametrize(
    ("pred", "target"),
    [((1, 4, 5), (1, 4, 6)), ((4, 5), (4, 5)), ((1, 1, 4, 5), (1, 1, 4, 5))],
)
def test_wrong_shapes_name_the_image(pred, target):
    with pytest.raises(ValueError, match=r"rooms/7\.png"):
        evaluate([sample_of(torch.ones(pred), torch.ones(target))])


def test_pure_sums_refuse_to_broadcast():
    with pytest.raises(ValueError, match="resize the prediction"):
        depth_sums(torch.ones(1), torch.ones(3))


@pytest.mark.parametrize("depth_range", [(0.0, 10.0), (5.0, 1.0), (math.nan, 1.0)])
def test_wrong_range_is_named(depth_range):
    with pytest.raises(ValueError, match="depth_range"):
        DepthMetric(depth_range=depth_range)
    with pytest.raises(ValueError, match="depth_range"):
        depth_sums(torch.ones(1), torch.ones(1), depth_range)


def test_unknown_region_is_named():
    with pytest.raises(ValueError, match="'valid' is unknown; choose from whole"):
        DepthMetric(region="valid")


def test_the_share_of_known_pixels_in_range_is_said(monkeypatch):
    target = torch.tensor([[[2.0, 20.0, 30.0, 40.0, 0.0, math.nan]]])
    said = []
    monkeypatch.setattr(
        "tasks.measured_share.print_log", lambda text, **_: said.append(text)
    )
    figures = evaluate([sample_of(target.nan_to_num(), target)])
    assert figures["measured_share"] == 0.25
    assert "only 25.0 % of the pixels with ground truth" in said[0]
    assert "0.1 to 10 m" in said[0]
    whole = evaluate([sample_of(target, target)], depth_range=(0.1, 80.0))
    assert whole["measured_share"] == 1


def test_a_share_of_nothing_is_no_figure_and_says_why():
    far = torch.full((1, 2, 2), 20.0)
    message = r"nothing was measured, of 4 pixels .* 0\.1 to 10 m counts nowhere"
    with pytest.raises(ValueError, match=message):
        evaluate([sample_of(far, far)])
