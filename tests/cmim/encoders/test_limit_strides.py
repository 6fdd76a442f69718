"""Strides and dilations of stages for an output stride."""

from __future__ import annotations

import pytest

from cmim.encoders.encoder import limit_strides


@pytest.mark.parametrize(
    ("strides", "output_stride", "stem", "expected"),
    [
        ((1, 2, 2, 2), None, 4, [(1, 1), (2, 1), (2, 1), (2, 1)]),
        ((1, 2, 2, 2), 16, 4, [(1, 1), (2, 1), (2, 1), (1, 2)]),
        ((1, 2, 2), 1, 1, [(1, 1), (1, 2), (1, 4)]),
        ((1, 2, 1, 2, 1), 4, 2, [(1, 1), (2, 1), (1, 1), (1, 2), (1, 2)]),
    ],
)
def test_removed_strides_become_dilations(strides, output_stride, stem, expected):
    assert limit_strides(strides, output_stride, stem) == expected
