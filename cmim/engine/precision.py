"""Which precision a run computes in, and whether its device has it."""

from __future__ import annotations

import os
import platform
from typing import Any

import torch
from mmengine.config import Config

from cmim.engine.config_error import ConfigError

# What ``--amp`` takes besides nothing.
PRECISIONS = ("bfloat16", "float16", "auto")
# Instruction sets to which oneDNN can be limited that have no bfloat16 products.
WITHOUT_BFLOAT16 = (
    "SSE41",
    "AVX",
    "AVX2",
    "AVX2_VNNI",
    "AVX2_VNNI_2",
    "AVX512_CORE",
    "AVX512_CORE_VNNI",
)


def has_bfloat16(device: str) -> bool:
    """Whether a device multiplies bfloat16 by instructions of its own.

    Others convert to float32 and back, layer by layer: on a CPU with AVX2 a training
    step then takes about four times as long as in float32.

    Args:
        device: ``'cpu'``, ``'cuda'`` or another type of torch; of others than these
            nothing is known, and they count as having it.
    """
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return True
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        if os.environ.get(name, "").upper() in WITHOUT_BFLOAT16:
            return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, name, bool)() for name in names)
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_precision(asked: str | None, device: str) -> str:
    """What a run computes in: the precision asked for, ``'float32'`` for None.

    Args:
        asked: One of ``PRECISIONS``, or None. ``'auto'`` is bfloat16 where the device
            has it, else float32.
        device: As for :func:`has_bfloat16`.

    Examples:
        >>> choose_precision(None, "cpu")
        'float32'
    """
    if asked == "auto":
        return "bfloat16" if has_bfloat16(device) else "float32"
    return asked or "float32"


def set_precision(config: Config, amp: str, device: str) -> None:
    """Let a config train in a precision; ``'auto'`` may leave it as it is.

    Args:
        config: Its optimizer wrapper is changed.
        amp: One of ``PRECISIONS``.
        device: As for :func:`has_bfloat16`.

    Raises:
        ConfigError: An unknown precision, or float16 without a GPU.
    """
    if amp not in PRECISIONS:
        raise ConfigError(
            f"amp {amp!r} is unknown; choose from {', '.join(PRECISIONS)}"
        )
    if amp == "float16" and device != "cuda":
        raise ConfigError("amp 'float16' needs a GPU; use bfloat16 on a CPU")
    precision = choose_precision(amp, device)
    if precision == "bfloat16":
        config.optim_wrapper.type = "cmim.engine.autocast.AutocastOptimWrapper"
    elif precision == "float16":
        config.optim_wrapper.type = "AmpOptimWrapper"
        config.optim_wrapper.loss_scale = "dynamic"


def precision_of(config: Config) -> str:
    """What a config trains in, as its optimizer wrapper says.

    Examples:
        >>> precision_of(Config(dict(optim_wrapper=dict(type="AmpOptimWrapper"))))
        'float16'
    """
    wrapper: Any = config.get("optim_wrapper") or {}
    kind = wrapper.get("type")
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    if "AutocastOptimWrapper" in name:
        return "bfloat16"
    if "AmpOptimWrapper" in name:
        return str(wrapper.get("dtype", "float16"))
    return "float32"


def warning_of(precision: str, device: str) -> str | None:
    """What to know of a precision on a device, or None.

    Args:
        precision: As it runs.
        device: As for :func:`has_bfloat16`.
    """
    if precision != "bfloat16" or has_bfloat16(device):
        return None
    if device == "cpu":
        return (
            "this CPU has no bfloat16 instructions and emulates them: a step takes "
            "about four times as long as in float32; leave --amp out, or use --amp auto"
        )
    return (
        "this GPU has no bfloat16 instructions and emulates them: use --amp float16, "
        "or leave --amp out"
    )
