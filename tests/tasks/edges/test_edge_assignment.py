"""Edge pixels matched one to one, against other methods and the benchmark's program."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from edge_cases import predictions, scene
from scipy.optimize import linear_sum_assignment

from tasks.edges import EdgeAssignmentMetric
from tasks.edges.assignment import assigned_counts, count_matches
from tasks.edges.benchmark_figures import benchmark_figures
from tasks.edges.metrics import edge_counts
from tasks.edges.thinning import thin

# ODS, OIS and AP in percent, of three scenes each: see test_the_benchmarks_own_figures.
OFFICIAL: dict[float, dict[str, tuple[float, float, float]]] = {}


def most_pairs(pred: np.ndarray, target: np.ndarray, radius: float) -> int:
    """By an assignment of all pixels in which only near pairs count."""
    places = [np.argwhere(edges) for edges in (pred, target)]
    near = np.array([[math.dist(p, t) <= radius for t in places[1]] for p in places[0]])
    rows, columns = linear_sum_assignment(near.astype(int), maximize=True)
    return int(near[rows, columns].sum())


@pytest.mark.parametrize("seed", range(6))
def test_as_many_pairs_as_there_can_be(seed):
    random = np.random.default_rng(seed)
    pred, target = random.random((2, 13, 17)) < 0.2
    for radius in (0.0, 1.0, 1.5, 3.2):
        assert count_matches(pred, target, radius) == most_pairs(pred, target, radius)


def test_a_pixel_gives_its_partner_up_for_another_pair():
    pred = np.array([[0, 1, 0, 1, 0]], bool)
    target = np.array([[0, 0, 1, 0, 1]], bool)
    assert count_matches(pred, target, radius=1.0) == 2
    assert count_matches(pred[:, ::-1], target[:, ::-1], radius=1.0) == 2
    assert count_matches(pred, target, radius=0.9) == 0
    assert count_matches(pred, np.zeros_like(pred), radius=1.0) == 0


def test_counts_at_every_threshold():
    """Cut, thinned and matched again at each of them."""
    random = np.random.default_rng(3)
    target = (random.random((15, 19)) < 0.1).astype(np.uint8)
    target[random.random((15, 19)) < 0.1] = 255
    pred = random.random((15, 19))
    pred[0, 0] = math.nan
    counts = assigned_counts(pred, target, tolerance=0.1)
    for place in range(0, 99, 7):
        lines = thin(pred >= (place + 1) / 100) & (target != 255)
        pairs = most_pairs(lines, target == 1, 0.1 * math.hypot(15, 19))
        expected = [pairs, lines.sum(), pairs, (target == 1).sum()]
        assert counts[place].tolist() == expected


def test_a_band_is_no_line_and_one_pixel_finds_one():
    target = np.zeros((20, 40), np.uint8)
    target[10, 5:35] = 1
    band = np.zeros(target.shape)
    band[8:13, 5:35] = 1
    by_distance = edge_counts(band, target, tolerance=0.05)[0].tolist()
    assert by_distance == [150, 150, 30, 30]
    one_to_one = assigned_counts(band, target, tolerance=0.05)[0]
    assert one_to_one[0] == one_to_one[1] == 26  # the thinned line lost two at each end
    as_it_is = assigned_counts(band, target, tolerance=0.05, thinned=False)[0]
    assert as_it_is.tolist() == [30, 150, 30, 30]


def test_what_was_thinned_stays_connected():
    import cv2

    random = np.random.default_rng(0)
    for size in (3, 5, 9):
        noise = cv2.GaussianBlur(random.random((40, 50)), (size, size), 0)
        edges = noise > np.median(noise)
        lines = thin(edges)
        assert not (lines & ~edges).any()
        assert np.array_equal(thin(lines), lines)
        parts = [cv2.connectedComponents(m.view(np.uint8))[0] for m in (edges, lines)]
        assert parts[0] == parts[1]


def samples(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[dict]:
    return [
        dict(
            pred_edge_map=dict(data=torch.from_numpy(pred)),
            gt_edge_map=dict(data=torch.from_numpy(target)),
        )
        for pred, target in pairs
    ]


def measure(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    metric = EdgeAssignmentMetric()
    metric.process(None, samples(pairs))
    return metric.evaluate(size=len(pairs))


def test_figures_of_a_data_set_do_not_depend_on_batches():
    random = np.random.default_rng(1)
    pairs = [
        (random.random((1, 12, 16)), (random.random((1, 12, 16)) < 0.1).astype(int))
        for _ in range(4)
    ]
    found = []
    for size in (1, 4):
        metric = EdgeAssignmentMetric(tolerance=0.1)
        for begin in range(0, 4, size):
            metric.process(None, samples(pairs[begin : begin + size]))
        found.append(metric.evaluate(size=4))
    assert found[0] == found[1]
    counts = torch.stack(
        [torch.from_numpy(assigned_counts(p[0], t[0], 0.1)) for p, t in pairs]
    )
    assert found[0] == dict(**benchmark_figures(counts), measured_share=1.0)
    assert metric.classes_measured == {}


def test_figures_of_classes_and_their_mean():
    """The first class is perfect, the second half found, the third has no edges."""
    target = np.zeros((3, 20, 40), np.uint8)
    target[0, 5, 5:35] = target[1, 15, 5:35] = 1
    pred = target.astype(float)
    pred[1, :, 20:] = 0
    pred[2, 1] = 1.0
    metric = EdgeAssignmentMetric()
    metric.dataset_meta = dict(classes=("wall", "bed", "door"))
    metric.process(None, samples([(pred, target)]))
    figures = metric.evaluate(size=1)
    # Thinned lines are as they were: precision 1, recall 1/2.
    bed = 100 * 2 * 0.5 / 1.5
    assert figures["ods"] == pytest.approx((100 + bed) / 2)
    assert figures["ois"] == pytest.approx((100 + bed) / 2)
    classes = metric.classes_measured
    assert classes["wall"]["ods"] == 100.0
    assert classes["bed"]["ois"] == pytest.approx(bed, abs=1e-3)
    assert classes["door"] == dict(ods=None, ois=None, ap=None)


@pytest.mark.parametrize(
    ("pred", "target", "said"),
    [
        (np.zeros((1, 4, 4)), np.zeros((1, 4, 4), int), "none of the 1 images has"),
        (np.zeros((1, 4, 4)), np.full((1, 4, 4), 2), "other values than 0"),
        (np.zeros((2, 4, 4)), np.zeros((1, 4, 4), int), r"must be the same \(K, H, W"),
    ],
)
def test_what_cannot_be_measured_is_said(pred, target, said):
    with pytest.raises(ValueError, match=said):
        measure([(pred, target)])
    with pytest.raises(ValueError, match="must not be negative"):
        EdgeAssignmentMetric(tolerance=-1)


@pytest.mark.full
@pytest.mark.parametrize("tolerance", OFFICIAL)
def test_the_benchmarks_own_figures(tolerance):
    counts: dict[str, list] = {}
    for seed in range(3):
        target = scene(seed)
        for name, pred in predictions(target, seed).items():
            counted = torch.from_numpy(assigned_counts(pred, target, tolerance))
            counts.setdefault(name, []).append(counted)
    for name, official in OFFICIAL[tolerance].items():
        found = benchmark_figures(torch.stack(counts[name]))
        ours = [found[figure] for figure in ("ods", "ois", "ap")]
        assert ours == pytest.approx(official, abs=0.1), name
