"""Normal metrics: exact counts, the histogram's median, batches, ground truth."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tasks.normals import AddNormals, NormalHead, NormalMetric
from tasks.normals.metrics import angle_sums, normal_figures


def image(seed: int, noise: float):
    generator = torch.Generator().manual_seed(seed)
    truth = F.normalize(torch.randn(3, 20, 31, generator=generator), dim=0)
    pred = truth + noise * torch.randn(3, 20, 31, generator=generator)
    truth[:, :2] = 0
    return pred, truth


IMAGES = [image(0, 0.1), image(1, 0.5), image(2, 2.0)]


def naive_angles() -> np.ndarray:
    values = []
    for pred, truth in IMAGES:
        pairs = zip(
            pred.flatten(1).T.double().numpy(),
            truth.flatten(1).T.double().numpy(),
            strict=True,
        )
        for p, t in pairs:
            if t.any():
                cosine = p @ t / np.linalg.norm(p) / np.linalg.norm(t)
                values.append(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))))
    return np.array(values)


def measure(batches) -> dict:
    metric = NormalMetric(prefix="normals")
    for batch in batches:
        metric.process(
            None,
            [
                dict(pred_normal_map=dict(data=p), gt_normal_map=dict(data=t))
                for p, t in batch
            ],
        )
    return metric.evaluate(size=len(IMAGES))


def test_figures_are_those_of_all_pixels_whatever_the_batches():
    angles = naive_angles()
    figures = measure([IMAGES])
    assert figures == measure([[i] for i in IMAGES])
    assert figures["normals/mean_angle"] == pytest.approx(angles.mean(), abs=1e-6)
    lower_median = np.quantile(angles, 0.5, method="inverted_cdf")
    median = figures["normals/median_angle"]
    assert median == pytest.approx(lower_median, abs=0.0101)
    for limit in (11.25, 22.5, 30):
        share = 100 * (angles < limit).mean()
        assert figures[f"normals/within_{limit:g}"] == pytest.approx(share)


def test_the_share_of_known_pixels_that_are_normals(monkeypatch):
    assert measure([IMAGES])["normals/measured_share"] == 1
    monkeypatch.setattr("tasks.measured_share.print_log", lambda *_, **__: None)
    pred, truth = (x.clone() for x in IMAGES[0])
    short = truth.clone()
    # Of 18 known rows nine are too short to be normals.
    short[:, 2:11] *= 0.1
    assert measure([[(pred, short)]])["normals/measured_share"] == 0.5
    with pytest.raises(ValueError, match="nothing was measured, of 558 pixels"):
        measure([[(pred, 0.1 * truth)]])
    with pytest.raises(ValueError, match="the test data have none"):
        measure([[(pred, 0 * truth)]])


@pytest.mark.parametrize("angle", [0.0, 0.02, 30.0, 45.0, 90.0, 180.0])
def test_the_median_of_equal_angles_is_that_angle(angle):
    turn = math.radians(angle)
    pred = torch.tensor([math.cos(turn), math.sin(turn), 0], dtype=torch.float64)
    truth = torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    for count in (1, 2, 7):
        both = (v.view(3, 1, 1).expand(3, 1, count) for v in (pred, truth))
        assert normal_figures([angle_sums(*both)])["median_angle"] == angle


def test_the_median_is_off_to_neither_side():
    angles = torch.linspace(10, 10.2, 201, dtype=torch.float64)
    off = []
    for turn in angles.deg2rad():
        pred = torch.stack([turn.cos(), turn.sin(), 0 * turn]).view(3, 1, 1)
        sums = angle_sums(pred, torch.tensor([1.0, 0, 0]).view(3, 1, 1))
        off.append(int(sums.histogram.argmax()) / 50 - math.degrees(turn))
    assert max(map(abs, off)) <= 0.01 + 1e-9
    assert sum(off) / len(off) == pytest.approx(0, abs=2e-4)


def test_a_limit_is_outside_and_half_a_turn_counts():
    truth = torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    sums = angle_sums(-truth, truth)
    assert sums.total.item() == pytest.approx(180)
    assert sums.histogram.nonzero().tolist() == [[9000]]
    assert sums.counts.tolist() == [1, 0, 0, 0]


def test_nan_cannot_pass_unseen():
    truth = torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    figures = normal_figures([angle_sums(truth * math.nan, truth)])
    assert math.isnan(figures["mean_angle"])
    assert figures["within_30"] == 0


def test_nothing_to_measure_is_an_error():
    nothing = torch.zeros(3, 2, 2)
    with pytest.raises(ValueError, match="none of the 1 images"):
        normal_figures([angle_sums(nothing, nothing)])
    with pytest.raises(ValueError, match="both must be the same"):
        angle_sums(nothing, torch.zeros(3, 4, 4))


def test_transform_takes_the_depth_with_it_or_leaves_it():
    depth = np.full((24, 32), 2.0, np.float32)
    assert set(AddNormals()(dict(gt_depth_map=depth))) == {
        "gt_depth_map",
        "gt_normal_map",
    }
    with pytest.raises(ValueError, match="the transform that loads depth"):
        AddNormals()({})


def test_head_starts_at_a_wall_seen_from_the_front():
    torch.manual_seed(0)
    head = NormalHead(8, 16, dilations=(1,)).eval()
    head.init_weights()
    vectors = head((torch.randn(2, 8, 5, 6),))
    assert torch.allclose(vectors.norm(dim=1), torch.ones(2, 5, 6), atol=1e-6)
    assert (vectors[:, 2] < -0.9).all()


@pytest.mark.parametrize("length", [0.0, 1e-30, 1e-200, 1e30])
def test_a_zero_prediction_is_at_90_degrees_and_a_short_one_is_not(length):
    pred = torch.zeros(3, 4, 4, dtype=torch.float64)
    pred[2] = length
    target = torch.tensor([0.0, 0, 1]).view(3, 1, 1).expand(3, 4, 4)
    figures = normal_figures([angle_sums(pred, target)])
    assert figures["mean_angle"] == (0 if length else 90)
    assert figures["within_30"] == (100 if length else 0)
