"""Ground truth for semantic edges: where two classes meet in a label map."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

VOID = 255


def semantic_edges(
    labels: NDArray[np.uint8], thickness: int = 1, bridge: int = 0, margin: int = 0
) -> NDArray[np.uint8]:
    """Mark the pixels near which two classes meet.

    A pixel is an edge (1) if the square of ``thickness + 1`` pixels around it holds two
    classes: bands are ``thickness`` wide. Void is no class. What was labelled by hand
    has strips of void between things, where edges belong: void up to ``bridge`` away
    from a label takes the nearest one first. Beside what is left nobody knows whether
    there is an edge (255).

    Args:
        labels: Classes, 255 for void.
        thickness: Width of the bands in pixels, at least 1.
        bridge: Void strips of up to twice this many pixels are closed.
        margin: Pixels this near to void that is left are unknown too.

    Returns:
        1 edge, 0 none, 255 unknown.

    Shape:
        labels ``(H, W)`` uint8; output the same.

    Raises:
        ValueError: A thickness below 1, or a negative distance.

    Examples:
        >>> row = np.array([[3, 3, 3, 255, 255, 7, 7, 7]], np.uint8)
        >>> semantic_edges(row, bridge=1).tolist()
        [[0, 0, 0, 0, 1, 0, 0, 0]]
        >>> semantic_edges(row).tolist()
        [[0, 0, 0, 255, 255, 255, 0, 0]]
    """
    if thickness < 1 or min(bridge, margin) < 0:
        raise ValueError(
            f"thickness must be at least 1, bridge and margin not negative; got "
            f"{thickness}, {bridge} and {margin}"
        )
    labels = close_strips(labels, bridge)
    void = labels == VOID
    square = np.ones((thickness + 1, thickness + 1), np.uint8)
    # Void stands at the end of the order where neither of the two filters picks it.
    lowest = cv2.erode(labels, square)
    highest = cv2.dilate(np.where(void, np.uint8(0), labels + np.uint8(1)), square)
    edges = (highest > 0) & (lowest < VOID) & (highest != lowest + 1)
    unknown = _near_void(void, max(thickness, 2 * margin) + 1)
    return np.where(edges, np.uint8(1), np.where(unknown, np.uint8(VOID), np.uint8(0)))


def class_edges(
    labels: NDArray[np.uint8], classes: int, bridge: int = 0, margin: int = 0
) -> NDArray[np.uint8]:
    """Mark, for each class, the pixels near which it meets another.

    An edge between two classes is one of both. See :func:`semantic_edges`, with a
    thickness of 1, of whose edges each is one of the result.

    Args:
        labels: Classes below ``classes``, 255 for void.
        classes: How many there are, K.
        bridge: Void strips of up to twice this many pixels are closed.
        margin: Pixels this near to void that is left are unknown too.

    Returns:
        1 edge, 0 none, 255 unknown.

    Shape:
        labels ``(H, W)`` uint8; output ``(K, H, W)``.

    Examples:
        >>> class_edges(np.array([[0, 0, 1, 1, 2]], np.uint8), classes=3).tolist()
        [[[0, 0, 1, 0, 0]], [[0, 0, 1, 0, 1]], [[0, 0, 0, 0, 1]]]
    """
    labels = close_strips(labels, bridge)
    void = labels == VOID
    unknown = _near_void(void, max(1, 2 * margin) + 1)
    nothing = np.where(unknown, np.uint8(VOID), np.uint8(0))
    planes = np.repeat(nothing[None], classes, axis=0)
    for label in np.unique(labels[~void]).tolist():
        inside = np.where(void, np.uint8(VOID), (labels == label).view(np.uint8))
        planes[label] = semantic_edges(inside, margin=margin)
    return planes


def _near_void(void: NDArray, side: int) -> NDArray[np.bool_]:
    return cv2.dilate(void.view(np.uint8), np.ones((side, side), np.uint8)) > 0


def close_strips(labels: NDArray[np.uint8], bridge: int) -> NDArray[np.uint8]:
    """Labels whose void up to ``bridge`` pixels away from one has the nearest one.

    Examples:
        >>> close_strips(np.array([[3, 255, 255, 255, 7]], np.uint8), 1).tolist()
        [[3, 3, 255, 7, 7]]
    """
    void = labels == VOID
    if not bridge or not void.any() or void.all():
        return labels
    distance, nearest = cv2.distanceTransformWithLabels(
        void.view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.full(int(nearest.max()) + 1, VOID, np.uint8)
    table[nearest[~void]] = labels[~void]
    return np.where(void & (distance <= bridge), table[nearest], labels)


@TRANSFORMS.register_module()
class AddEdges(BaseTransform):
    """``gt_edge_map`` ``(H, W)`` from ``gt_seg_map``; see :func:`semantic_edges`.

    Belongs behind the augmentation: the bands then have the same width at any zoom.

    Args:
        thickness: Width of the bands in pixels.
        bridge: Void strips of up to twice this many pixels are closed.
        margin: Pixels this near to void that is left are unknown too.
        keep_labels: Leave the labels in the sample, for a segmentation beside this.

    Raises:
        ValueError: The frame has no labels.

    Examples:
        >>> frame = dict(gt_seg_map=np.array([[0, 0, 1, 1]], np.uint8))
        >>> AddEdges(keep_labels=False)(frame)["gt_edge_map"].tolist()
        [[0, 0, 1, 0]]
    """

    def __init__(
        self,
        thickness: int = 1,
        bridge: int = 0,
        margin: int = 0,
        keep_labels: bool = True,
    ) -> None:
        self.options = dict(thickness=thickness, bridge=bridge, margin=margin)
        self.keep_labels = keep_labels

    def transform(self, results: dict) -> dict:
        if "gt_seg_map" not in results:
            raise ValueError(
                "AddEdges needs gt_seg_map: put it behind the transform that loads "
                "labels"
            )
        labels = results["gt_seg_map"]
        if not self.keep_labels:
            del results["gt_seg_map"]
        results["gt_edge_map"] = semantic_edges(labels, **self.options)
        return results
