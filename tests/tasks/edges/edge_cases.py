"""Edge predictions of known kinds for a small scene; made of integers alone."""

from __future__ import annotations

import cv2
import numpy as np

SHAPE = (240, 320)


def scene(seed: int) -> np.ndarray:
    """True edges: outlines of rectangles and circles, one pixel wide."""
    random = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, np.uint8)
    for value in range(1, 9):
        row, column = int(random.integers(20, 220)), int(random.integers(20, 300))
        size = int(random.integers(15, 65))
        if value % 2:
            corner = (column + size, row + size // 2 + 3)
            cv2.rectangle(labels, (column, row), corner, value, -1)
        else:
            cv2.circle(labels, (column, row), size, value, -1)
    edges = np.zeros(SHAPE, np.uint8)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    return edges


def predictions(target: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Predictions in steps of 1/255, which binary fractions hold in any library."""
    random = np.random.default_rng(100 + seed)
    moved = np.roll(target, (1, 2), axis=(0, 1)) * np.uint8(200)
    square = np.ones((5, 5), np.uint8)
    noise = random.integers(0, 256, SHAPE).astype(np.uint8)
    rings = np.zeros(SHAPE, np.uint8)
    for step in range(5):
        side = np.ones((2 * step + 1, 2 * step + 1), np.uint8)
        ring = cv2.dilate(target, side) * np.uint8(240 - 45 * step)
        rings = np.maximum(rings, ring)
    drawn = {
        "moved by (1, 2)": moved,
        "5 pixels wide": cv2.dilate(target, square) * np.uint8(255),
        "noise": noise,
        "falling off": rings,
        "falling off, with noise": np.maximum(rings // 2, noise // 2) + noise // 4,
        "half of it": target
        * np.uint8(150)
        * (np.arange(SHAPE[1]) < 160).astype(np.uint8),
    }
    return {name: values / 255 for name, values in drawn.items()}
