"""What cannot be tested where ``ONEDNN_MAX_CPU_ISA`` forbids instructions, by name.

On a CPU with AVX-512 the limit reaches the kernels of the engine's library (oneDNN's
convolutions) and not those of its own (thresholds, binary convolutions, layer norm);
where the two meet, it may refuse, crash or be wrong.
"""

from __future__ import annotations

import os
from functools import cache

import pytest

from cmim.cpu_flags import cpu_flags
from cmim.deploy.binary_layer import ExportError
from cmim.deploy.sample_layer import sample_layer
from cmim.deploy.verify import compile_layer

LIMIT = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
WITHOUT_AVX512 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2")


@cache
def has_binary_layers() -> bool:
    """Whether the engine compiles any binary convolution, if a limit is set."""
    try:
        compile_layer(sample_layer(8), (1, 8, 4, 4))
    except ExportError:
        if not LIMIT:
            raise
        return False
    return True


def skip_without_binary_layers() -> None:
    """Skip where a limit leaves the engine no binary convolution."""
    if not has_binary_layers():
        pytest.skip(f"the engine compiles no binary convolution under {LIMIT} here")


def skip_where_layer_norm_crashes() -> None:
    """Skip where the engine's layer norm ends the process (openvino 2026.4).

    Seen with AVX-512 under AVX2, of one layer alone, without anything binary.
    """
    if LIMIT in WITHOUT_AVX512 and "avx512bw" in (cpu_flags() or ()):
        pytest.skip(f"the engine's layer norm crashes under {LIMIT} on AVX-512 CPUs")
