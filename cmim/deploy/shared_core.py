"""One engine for the whole process, and signals that survive it.

The engine's CPU plugin gives the thread that loads it another stack for signals. Where
several engines live at once and go in another order than they came, the stack that is
left is one that is freed already: the next signal that Python handles (Ctrl-C, or a
data loader's process that ends) then kills the process (seen in OpenVINO 2026.4.1). So
there is one engine, which stays; and around code that makes its own, the stack is kept.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
from collections.abc import Iterator

import openvino as ov

# Where the CPU has bfloat16 the engine computes in it unasked, which moves activations
# over their thresholds; and where instructions are switched off (ONEDNN_MAX_CPU_ISA)
# 8-bit layers that write bfloat16 give NaN (2026.4.1).
FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}


@functools.cache
def shared_core() -> ov.Core:
    """The process's engine.

    Examples:
        >>> shared_core() is shared_core()
        True
    """
    return ov.Core()


class _Stack(ctypes.Structure):
    """``stack_t`` of Linux's ``sigaltstack``."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("size", ctypes.c_size_t),
    )


def signal_stack() -> tuple[int, int, int]:
    """Address, flags and size of this thread's stack for signals (Linux)."""
    found = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found.address or 0, found.flags, found.size


@contextlib.contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Give this thread its stack for signals back at the end; nothing off Linux."""
    if not sys.platform.startswith("linux"):
        yield
        return
    before = signal_stack()
    try:
        yield
    finally:
        ctypes.CDLL(None).sigaltstack(ctypes.byref(_Stack(*before)), None)
