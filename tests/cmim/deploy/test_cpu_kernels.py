"""What is said of the engine's kernels."""

from __future__ import annotations

import pytest

pytest.importorskip("openvino")

import numpy as np

from cmim.deploy.binary_layer import BinaryLayer, SignStep, SignTerm
from cmim.deploy.cpu_kernels import (
    binary_kernels,
    describe_kernels,
    has_vector_popcount,
)
from cmim.deploy.verify import compile_layer


def test_the_kernel_of_a_binary_layer_is_found():
    step = SignStep(np.zeros(1, np.float32), -1.0, 1.0)
    term = SignTerm(np.ones(8, np.float32), np.ones((8, 8, 1, 1), np.int8))
    layer = BinaryLayer("one", (step,), (term,), (1, 1), (0, 0), (1, 1))
    kernels = binary_kernels(compile_layer(layer, (1, 8, 4, 4)))
    assert len(kernels) == 1
    assert "u1" in kernels[0] or "ref" in kernels[0]


@pytest.mark.parametrize(
    ("kernels", "machine", "popcount", "expected"),
    [
        (["jit_avx512_u1"], "x86_64", True, "AVX-512 with vector bit counts"),
        (["jit_avx512_u1"], "x86_64", False, "does not count bits in vectors"),
        (["jit_avx2_u1"], "x86_64", False, "AVX2, without AVX-512"),
        (["jit_sse42_u1"], "x86_64", False, "SSE4.2"),
        (["ref_any"], "aarch64", None, "slower than float32"),
        ([], "x86_64", True, "no binary convolution"),
    ],
)
def test_every_kind_of_kernel_is_explained(kernels, machine, popcount, expected):
    assert expected in describe_kernels(kernels, machine, popcount)


def test_bit_counts_are_read_from_the_system(tmp_path):
    file = tmp_path / "cpuinfo"
    assert has_vector_popcount(file) is None
    file.write_text("flags : avx512f avx512vl\n")
    assert has_vector_popcount(file) is False
    file.write_text("flags : avx512f avx512_vpopcntdq\n")
    assert has_vector_popcount(file) is True
