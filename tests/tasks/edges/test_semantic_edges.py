"""Edges of label maps against a loop over windows."""

import numpy as np
import pytest

from tasks.edges import AddEdges
from tasks.edges.ground_truth import semantic_edges

V = 255


def naive(labels: np.ndarray, thickness: int) -> np.ndarray:
    """Two classes in the window: edge; void in it: unknown."""
    height, width = labels.shape
    before = (thickness + 1) // 2
    out = np.zeros_like(labels)
    for row in range(height):
        for column in range(width):
            window = labels[
                max(0, row - before) : row - before + thickness + 1,
                max(0, column - before) : column - before + thickness + 1,
            ]
            classes = set(window.ravel().tolist())
            out[row, column] = (
                1 if len(classes - {V}) > 1 else (V if V in classes else 0)
            )
    return out


def label_map(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 40, (5, 6), dtype=np.uint8)
    labels[rng.random((5, 6)) < 0.2] = V
    labels[0, 0] = 0
    return labels.repeat(5, 0).repeat(5, 1)


@pytest.mark.parametrize("thickness", [1, 2, 3])
def test_windows_with_two_classes(thickness):
    labels = label_map()
    assert np.array_equal(semantic_edges(labels, thickness), naive(labels, thickness))


@pytest.mark.parametrize("thickness", [1, 2, 3, 4])
def test_bands_are_as_wide_as_asked(thickness):
    labels = np.zeros((20, 20), np.uint8)
    labels[:, 10:] = 5
    edges = semantic_edges(labels, thickness)
    assert (edges.sum(axis=1) == thickness).all()


def test_names_of_the_classes_do_not_matter():
    labels = label_map()
    other = np.random.default_rng(1).permutation(40).astype(np.uint8)
    table = np.append(other, np.zeros(216, np.uint8))
    table[V] = V
    assert np.array_equal(semantic_edges(labels), semantic_edges(table[labels]))


def test_strips_of_void_are_closed_in_their_middle():
    labels = np.zeros((6, 20), np.uint8)
    labels[:, 12:] = 39
    labels[:, 8:12] = V
    closed = semantic_edges(labels, bridge=2)
    assert set(closed.ravel().tolist()) == {0, 1}
    assert (closed[:, 9:12].sum(axis=1) == 1).all()
    # Too wide a strip stays unknown.
    assert (semantic_edges(labels, bridge=1)[:, 9:11] == V).all()
    assert not (semantic_edges(labels, bridge=1) == 1).any()


def test_margin_widens_what_is_unknown_and_leaves_edges():
    labels = np.zeros((11, 30), np.uint8)
    labels[:, 10:] = 3
    labels[5, 12] = V
    edges = semantic_edges(labels, margin=3)
    assert (edges[:, 10] == 1).all()
    assert (edges == V).sum() == 7 * 7 - 7  # a square, less the edge in it


@pytest.mark.parametrize("value", [0, 39, V])
def test_one_class_has_no_edge(value):
    labels = np.full((8, 9), value, np.uint8)
    expected = V if value == V else 0
    assert (semantic_edges(labels, bridge=4) == expected).all()


def test_the_labels_stay_as_they_are():
    labels = label_map()
    before = labels.copy()
    frame = AddEdges(bridge=3)(dict(gt_seg_map=labels))
    assert np.array_equal(frame["gt_seg_map"], before)
    assert "gt_seg_map" not in AddEdges(keep_labels=False)(dict(gt_seg_map=labels))


@pytest.mark.parametrize("options", [dict(thickness=0), dict(bridge=-1)])
def test_wrong_options_are_named(options):
    with pytest.raises(ValueError, match="must be at least 1"):
        semantic_edges(label_map(), **options)
    with pytest.raises(ValueError, match="the transform that loads labels"):
        AddEdges()({})
