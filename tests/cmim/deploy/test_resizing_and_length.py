"""Bilinear resizing and unit vectors in the raw format: by hand, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from network_cases import images
from operation_cases import Operation, resized, unit
from torch import nn

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.numpy_reference import Network, bilinear
from cmim.deploy.raw_trace import build_program


def traced(module: nn.Module, x: torch.Tensor) -> Network:
    return build_program(module.eval(), x).network()


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # A third of the way between the centres of pixels, and half a pixel outside.
        ([1, 2, 4], [1, 1.25, 1.75, 2.5, 3.5, 4]),
        ([1, 2, 4], [1.25, 3.5]),
        # One pixel has its centre in the middle of all.
        ([1, 2, 4], [2]),
        ([1, 2, 4, 9], [3]),
        ([7], [7, 7, 7]),
        ([1, 2, 4], [1, 2, 4]),
    ],
)
def test_rows_by_hand(row, expected):
    x = torch.tensor(row, dtype=torch.float32).view(1, 1, 1, -1)
    network = traced(resized(1, len(expected)), x)
    np.testing.assert_array_equal(network.run(x.numpy()).ravel(), np.float32(expected))
    # The same along the other axis.
    x = x.transpose(2, 3)
    network = traced(resized(len(expected), 1), x)
    np.testing.assert_array_equal(network.run(x.numpy()).ravel(), np.float32(expected))


@pytest.mark.parametrize("size", range(1, 10))
def test_weights_are_those_of_torch_in_float64(size):
    for wanted in (*range(1, 12), 37, 480):
        ours = bilinear(size, wanted)
        lines = torch.eye(size, dtype=torch.float64)[None]
        theirs = F.interpolate(lines, wanted, mode="linear", align_corners=False)
        np.testing.assert_allclose(ours, theirs[0].T, rtol=0, atol=1e-7)
        np.testing.assert_allclose(ours.sum(1), 1, rtol=0, atol=1e-6)


def test_resizing_is_one_step_and_none_where_nothing_changes():
    steps = traced(resized(5, 7), images(1, 4, 6)).steps
    assert [(s["op"], s["shape"], s["arrays"]) for s in steps] == [
        ("resize", [3, 5, 7], {})
    ]
    assert not traced(resized(4, 6), images(1, 4, 6)).steps


def test_unit_vectors_by_hand():
    vectors = [[3, -4, 0], [0, 0, 0], [3e-7, 0, 4e-7], [0, 0, -5e-7], [3e9, 4e9, 0]]
    expected = [[0.6, -0.8, 0], [0, 0, 0], [0.3, 0, 0.4], [0, 0, -0.5], [0.6, 0.8, 0]]
    x = torch.tensor(vectors).T.reshape(1, 3, 1, -1)
    network = traced(Operation(unit), x)
    assert [s["op"] for s in network.steps] == ["norm", "clip", "broadcast", "divide"]
    found = network.run(x.numpy())[0, :, 0].T
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda x: F.interpolate(x, (3, 3), mode="bilinear", align_corners=True),
            "no resizing with align_corners=True",
        ),
        # Torch samples at steps of 1 / 1.3, of which 5.2 would be the whole map.
        (
            lambda x: F.interpolate(x, scale_factor=1.3, mode="bilinear"),
            r"no resizing of \(4, 6\) pixels by \[1.3, 1.3\]: give the size",
        ),
        (lambda x: F.interpolate(x, (3, 3)), r"no aten\.upsample_nearest2d"),
        (
            lambda x: F.interpolate(x, (3, 3), mode="bilinear", antialias=True),
            r"no aten\._upsample_bilinear2d_aa",
        ),
        (lambda x: x.norm(p=1, dim=1), r"^1: the raw format has no length of order 1$"),
        (lambda x: x / x.norm(), r"aten\.linalg_vector_norm mixes the images"),
        (lambda x: x.norm(dim=0), r"aten\.linalg_vector_norm mixes the images"),
    ],
)
def test_what_is_resized_or_measured_otherwise_is_refused(function, message):
    with pytest.raises(ExportError, match=message):
        traced(nn.Sequential(nn.ReLU(), Operation(function)), images(1, 4, 6))
