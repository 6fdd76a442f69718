"""The processor: its instruction sets, and what the environment forbids of them."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping

from cmim.cpu_flags import cpu_flags, cpu_name
from cmim.doctor.findings import ProcessorFindings

# What networks are computed with, and the flags of the system of which one means it.
SETS: dict[str, tuple[str, ...]] = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512bw",),
    "bit counts (AVX512-VPOPCNTDQ)": ("avx512_vpopcntdq",),
    "8-bit products (VNNI)": ("avx512_vnni", "avx_vnni"),
    "bfloat16 products (AVX512-BF16)": ("avx512_bf16",),
    "bfloat16 tiles (AMX-BF16)": ("amx_bf16",),
    "8-bit tiles (AMX-INT8)": ("amx_int8",),
}
# Variables by which oneDNN, in torch and OpenVINO, and torch itself are limited.
LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")


def examine_processor(
    flags: frozenset[str] | None = None, environment: Mapping[str, str] = os.environ
) -> ProcessorFindings:
    """Name the processor and what it can do.

    Args:
        flags: Of the processor; those of this one when None.
        environment: Variables of the process.

    Examples:
        >>> found = examine_processor(frozenset({"avx2"}), {"DNNL_MAX_CPU_ISA": "AVX2"})
        >>> found["sets"]["AVX2"], found["sets"]["AVX-512"], found["limits"]
        (True, False, {'DNNL_MAX_CPU_ISA': 'AVX2'})
    """
    flags = cpu_flags() if flags is None else flags
    return ProcessorFindings(
        name=cpu_name(),
        machine=platform.machine(),
        cores=usable_cores(),
        sets={
            name: None if flags is None else not flags.isdisjoint(words)
            for name, words in SETS.items()
        },
        limits={name: environment[name] for name in LIMITS if name in environment},
    )


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
