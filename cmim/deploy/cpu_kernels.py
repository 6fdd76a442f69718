"""The kernels that run binary convolutions on this machine, in words."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path

import openvino as ov

from cmim.cpu_flags import CPUINFO, cpu_flags


def binary_kernels(compiled: ov.CompiledModel) -> list[str]:
    """Names of the kernels of a compiled network's binary convolutions."""
    found = set()
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        if info["layerType"].astype(str) == "BinaryConvolution":
            found.add(info["primitiveType"].astype(str))
    return sorted(found)


def has_vector_popcount(path: str | Path = CPUINFO) -> bool | None:
    """Whether the CPU counts bits in vectors (AVX512-VPOPCNTDQ); None if unknown."""
    flags = cpu_flags(path)
    return None if flags is None else "avx512_vpopcntdq" in flags


def describe_kernels(
    kernels: Iterable[str], machine: str | None = None, popcount: bool | None = True
) -> str:
    """The speed to expect of these kernels.

    Args:
        kernels: As :func:`binary_kernels` gives them.
        machine: As ``platform.machine()`` names it, which is taken if None.
        popcount: See :func:`has_vector_popcount`.

    Examples:
        >>> describe_kernels(["jit_avx2_u1"], "x86_64").split(":")[0]
        'binary convolutions run in AVX2, without AVX-512'
    """
    names = ", ".join(kernels)
    machine = machine or platform.machine()
    if not names:
        return "the network has no binary convolution"
    if "avx512" in names and popcount is not False:
        return f"binary convolutions run in AVX-512 with vector bit counts ({names})"
    if "avx512" in names:
        return (
            "binary convolutions run in AVX-512, and this CPU does not count bits in "
            "vectors (AVX512-VPOPCNTDQ): the kernel looks counts up, about 3 times "
            "slower"
        )
    if "avx2" in names:
        return (
            "binary convolutions run in AVX2, without AVX-512: the kernel looks bit "
            "counts up, about 3 times slower than with AVX512-VPOPCNTDQ"
        )
    if "sse" in names:
        return (
            "binary convolutions run in SSE4.2, without AVX: about 7 times slower than "
            "with AVX512-VPOPCNTDQ"
        )
    return (
        f"binary convolutions run in the engine's reference loop ({names}) on this "
        f"machine ({machine}), which is slower than float32: OpenVINO has fast binary "
        "kernels for x86 only. Here the full-precision or 8-bit network is faster; "
        "--format npz has the bits for other engines"
    )
