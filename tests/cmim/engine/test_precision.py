"""Which precision runs, and what is said of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from cmim.engine import precision
from cmim.engine.config import ConfigError, load_config
from cmim.engine.precision import (
    choose_precision,
    has_bfloat16,
    precision_of,
    set_precision,
    warning_of,
)
from cmim.engine.runner import CMIMRunner

CONFIG = Path(__file__).parents[3] / "configs" / "rooms_seg_bireal.py"


@pytest.fixture
def cpu(monkeypatch):
    """An x86 CPU with or without bfloat16 instructions."""

    def choose(*has: str) -> None:
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
        monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
        monkeypatch.setattr(precision.platform, "machine", lambda: "x86_64")
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(
                torch.cpu, name, lambda name=name: name in has, raising=False
            )

    return choose


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        ((), False),
        (("_is_avx512_bf16_supported",), True),
        (("_is_amx_tile_supported",), True),
    ],
)
def test_a_cpu_has_bfloat16_by_its_instructions(cpu, has, expected):
    cpu(*has)
    assert has_bfloat16("cpu") is expected


@pytest.mark.parametrize(
    ("isa", "expected"),
    [
        ("AVX2", False),
        ("avx512_core", False),
        ("AVX512_CORE_BF16", True),
        ("ALL", True),
    ],
)
def test_a_limit_of_the_library_counts(cpu, monkeypatch, isa, expected):
    cpu("_is_avx512_bf16_supported")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", isa)
    assert has_bfloat16("cpu") is expected


def test_a_gpu_that_emulates_has_none(monkeypatch):
    given = {}
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda **options: given.update(options)
    )
    assert not has_bfloat16("cuda")
    assert given == {"including_emulation": False}
    assert "float16" in warning_of("bfloat16", "cuda")


def test_what_is_asked_for_runs_and_auto_takes_the_faster(cpu):
    cpu()
    assert choose_precision("bfloat16", "cpu") == "bfloat16"
    assert choose_precision("auto", "cpu") == choose_precision(None, "cpu") == "float32"
    cpu("_is_amx_tile_supported")
    assert choose_precision("auto", "cpu") == "bfloat16"


def test_only_slow_bfloat16_is_warned_of(cpu):
    cpu()
    assert "four times" in warning_of("bfloat16", "cpu")
    assert "--amp auto" in warning_of("bfloat16", "cpu")
    assert warning_of("float32", "cpu") is None
    cpu("_is_amx_tile_supported")
    assert warning_of("bfloat16", "cpu") is None


@pytest.mark.parametrize("amp", ["bfloat16", "auto"])
def test_the_config_says_what_runs(cpu, amp):
    config = load_config(CONFIG)
    assert precision_of(config) == "float32"
    cpu()
    set_precision(config, amp, "cpu")
    assert precision_of(config) == {"bfloat16": "bfloat16", "auto": "float32"}[amp]
    set_precision(config, "float16", "cuda")
    assert precision_of(config) == "float16"
    with pytest.raises(ConfigError, match="choose from bfloat16, float16, auto"):
        set_precision(config, "int8", "cpu")


def test_a_run_says_its_precision_in_one_line(cpu, caplog, monkeypatch):
    cpu()
    config = load_config(CONFIG)
    set_precision(config, "bfloat16", "cpu")
    monkeypatch.setattr("cmim.engine.runner.get_device", lambda: "cpu")
    runner = object.__new__(CMIMRunner)
    runner.cfg, runner._work_dir, runner._seed = config, "run", 3
    monkeypatch.setattr(CMIMRunner, "logger", logging.getLogger("said"), raising=False)
    with caplog.at_level(logging.INFO):
        runner._log_env({})
    assert caplog.messages[0] == "run: seed 3, device cpu, bfloat16"
    assert "four times" in caplog.messages[1]
    assert len(caplog.messages) == 2
