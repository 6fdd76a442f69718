"""Edge pixels matched one to one, against other methods and the benchmark's program."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from edge_cases import predictions, scene
from scipy.optimize import linear_sum_assignment

from tasks.edges import EdgeAssignmentMetric
from tasks.edges.assignment import assigned_counts, count_matches
from tasks.edges.benchmark_figures import benchmark_figures
from tasks.edges.ground_truth import semantic_edges
from tasks.edges.metrics import edge_counts, f_measure
from tasks.edges.thinning import thin

# ODS and OIS in percent of three scenes each, by tolerance, of the benchmark's own
# program: correspondPixels of BSDS500, commit 79da036 of Britefury/py-bsds500, compiled
# aside, its random numbers seeded with 7. Predictions are thinned by scikit-image 0.26,
# figures computed as in edgesEvalDir.m, commit 1396692 of pdollar/edges.
# The program connects pixels without a partner at random, each with 6 others, and so
# misses up to one pair an image. With 60 others it misses none.
OFFICIAL = {
    0.0075: {
        "moved by (1, 2)": (92.4654, 92.4654),
        "5 pixels wide": (90.7568, 90.7568),
        "noise": (17.3588, 17.4105),
        "falling off": (92.6231, 92.6231),
        "falling off, with noise": (19.2786, 19.2622),
        "half of it": (48.7487, 48.7487),
    },
    0.011: {
        "moved by (1, 2)": (92.4654, 92.4654),
        "5 pixels wide": (90.8156, 90.8156),
        "noise": (22.6585, 22.6585),
        "falling off": (92.6231, 92.6231),
        "half of it": (48.7487, 48.7487),
    },
}
OFFICIAL_WITH_60 = {
    0.0075: {
        "moved by (1, 2)": (92.4942, 92.4942),
        "5 pixels wide": (90.7568, 90.7568),
        "falling off": (92.7386, 92.7386),
        "half of it": (48.8301, 48.8301),
    },
    0.011: {
        "moved by (1, 2)": (92.4942, 92.4942),
        "5 pixels wide": (90.8156, 90.8156),
        "falling off": (92.7386, 92.7386),
        "half of it": (48.8301, 48.8301),
    },
}


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
        [torch.from_numpy(assigned_counts(p[0], thin(t[0]), 0.1)) for p, t in pairs]
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
    assert classes["door"] == dict(ods=None, ois=None)


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
            if name in OFFICIAL[tolerance]:
                counted = torch.from_numpy(assigned_counts(pred, target, tolerance))
                counts.setdefault(name, []).append(counted)
    for table, most in ((OFFICIAL, 0.12), (OFFICIAL_WITH_60, 1e-4)):
        for name, official in table[tolerance].items():
            found = benchmark_figures(torch.stack(counts[name]))
            ours = [found["ods"], found["ois"]]
            assert ours == pytest.approx(official, abs=most), name


# Frame, tolerance, hundredths of the threshold, and what the same program gives:
# matched, predicted and true pixels.
OF_REAL_FRAMES = [
    ("00001", 0.0075, 12, (4239, 10118, 6069)),
    ("00001", 0.0075, 36, (2248, 5218, 6069)),
    ("00001", 0.0075, 96, (201, 584, 6069)),
    ("00500", 0.011, 12, (3806, 12559, 4508)),
    ("00500", 0.011, 24, (2376, 7570, 4508)),
    ("00500", 0.011, 60, (483, 2611, 4508)),
]


@pytest.mark.real_data
@pytest.mark.full
@pytest.mark.parametrize(
    ("frame", "tolerance", "hundredth", "official"), OF_REAL_FRAMES
)
def test_the_benchmarks_matches_of_real_frames(
    nyuv2, frame, tolerance, hundredth, official
):
    labels = cv2.imread(str(nyuv2 / "labels40" / f"{frame}.png"), cv2.IMREAD_UNCHANGED)
    target = semantic_edges(labels - np.uint8(1), bridge=4) == 1
    picture = cv2.imread(str(nyuv2 / "images" / f"{frame}.jpg"))
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    grey = cv2.GaussianBlur(grey, (0, 0), 2)
    slope = np.hypot(*(cv2.Sobel(grey, cv2.CV_32F, *d) for d in ((1, 0), (0, 1))))
    pred = np.round(np.minimum(slope / np.quantile(slope, 0.995), 1) * 255) / 255
    lines = thin(pred >= hundredth / 100)
    matched = count_matches(lines, target, 800 * tolerance)
    found = torch.tensor([matched, lines.sum(), matched, target.sum()])
    theirs = torch.tensor([official[0], official[1], official[0], official[2]])
    assert f_measure(found).item() == pytest.approx(f_measure(theirs).item(), abs=1e-3)
