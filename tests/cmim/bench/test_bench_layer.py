"""The stage against its published way of writing: same numbers, bytes counted right."""

from __future__ import annotations

import pytest
import torch

from cmim.bench.layer import (
    STAGES,
    Stage,
    bench_method,
    stage_variants,
)
from cmim.bench.tensor_memory import kept_bytes, peak_bytes

SMALL = {"same": Stage(6, 6, 9, 1), "halved": Stage(4, 6, 10, 2)}
every_method = pytest.mark.parametrize("method", ["bireal", "irnet"])


@every_method
@pytest.mark.parametrize("stage", SMALL.values(), ids=SMALL.keys())
def test_published_blocks_give_our_outputs_and_gradients(method, stage):
    variants = stage_variants(method, stage)
    found = {}
    for name, module in variants.items():
        module.double().train()
        for key, buffer in module.named_buffers():
            if key.endswith(".t"):
                buffer.fill_(0.1)  # not what float32 made of it
        generator = torch.Generator().manual_seed(0)
        shape = (2, stage.in_channels, stage.size, stage.size)
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        assert (x != 0).all()  # sign(0) is 0 in the published code
        out = module(x.requires_grad_())
        out.backward(torch.randn(out.shape, generator=generator, dtype=x.dtype))
        gradients = {k: p.grad for k, p in module.named_parameters()}
        running = {k: b for k, b in module.named_buffers() if "running" in k}
        found[name] = {"out": out.detach(), "input": x.grad, **gradients, **running}
    ours, published = found["ours"], found["published"]
    assert ours.keys() == published.keys()
    for name, value in published.items():
        assert value.abs().sum() > 0, name
        torch.testing.assert_close(
            ours[name], value, rtol=1e-10, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_kept_bytes_counts_each_storage_once_and_whole():
    x = torch.ones(100, requires_grad=True)

    def forward() -> torch.Tensor:
        y = x.exp()  # keeps y
        return (y[:3] * y[3:6]).sigmoid()  # views of y; keeps 3 more

    assert kept_bytes(forward, [x]) == 4 * (100 + 3)


def test_peak_bytes_sees_what_is_freed_within_the_step():
    def step() -> None:
        x = torch.zeros(1000)
        del x
        torch.zeros(500)

    assert peak_bytes(step, "cpu") == 4000


@every_method
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_stage_keeps_less_than_published_code(method, channels_last):
    stage = Stage(16, 16, 16, 1)
    figures = bench_method(method, stage, 8, 1, channels_last=channels_last)
    assert figures["memory_ratio"] == pytest.approx(
        figures["ours"]["kept_mb"] / figures["published"]["kept_mb"], abs=0.01
    )
    assert figures["memory_ratio"] <= 0.6
    assert figures["peak_ratio"] < 1
    assert figures["speedup"] > 0


def test_stages_fit_each_other():
    for number in (2, 3, 4):
        before, stage = STAGES[number - 1], STAGES[number]
        assert stage.in_channels == before.channels
        assert stage.size == before.size // before.stride


def test_a_method_without_published_blocks_is_refused():
    with pytest.raises(ValueError, match="choose from bireal, irnet"):
        stage_variants("dorefa", SMALL["same"])
