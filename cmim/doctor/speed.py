"""Seconds of measuring: a binary layer beside float32, and bfloat16 beside float32.

Single layers, not networks: they say which way is slow here, and ``tools/bench.py``
says how slow a network is.
"""

from __future__ import annotations

import statistics

# The layer of the tables in docs/deploy.md: a 3x3 convolution over 60x80.
CHANNELS, HEIGHT, WIDTH = 256, 60, 80
TRAINED = (8, 48, 60, 80)
ROUNDS = 7


def time_binary_layer() -> tuple[float, float]:
    """Milliseconds of a binary layer and of the same layer in float32, one thread."""
    import numpy as np
    import openvino as ov
    import openvino.opset13 as ops

    from cmim.bench.turns import time_turns
    from cmim.deploy.sample_layer import sample_layer
    from cmim.deploy.shared_core import FLOAT32, shared_core
    from cmim.deploy.verify import compile_layer

    shape = (1, CHANNELS, HEIGHT, WIDTH)
    options = {"INFERENCE_NUM_THREADS": 1}
    weight = np.random.default_rng(0).standard_normal((CHANNELS, CHANNELS, 3, 3))
    x = ops.parameter(list(shape), ov.Type.f32)
    ones = [1, 1]
    y = ops.convolution(
        x, ops.constant(weight.astype(np.float32)), ones, ones, ones, ones
    )
    real = shared_core().compile_model(
        ov.Model([ops.result(y)], [x]),
        "CPU",
        {**options, **FLOAT32},
    )
    image = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    turns = {}
    for name, compiled in (
        ("binary", compile_layer(sample_layer(CHANNELS), shape, options)),
        ("float32", real),
    ):
        request = compiled.create_infer_request()
        request.set_input_tensor(ov.Tensor(image))
        turns[name] = request.infer
    times = time_turns(turns, ROUNDS)
    binary, full = (
        round(1e3 * statistics.median(times[name]), 2) for name in ("binary", "float32")
    )
    return binary, full


def time_bfloat16(device: str) -> float:
    """Time of a convolution's two passes in bfloat16 over that in float32.

    Args:
        device: Where torch trains.

    Returns:
        The median of the ratios within a round.
    """
    import torch

    from cmim.bench.turns import time_turns

    x = torch.randn(TRAINED, device=device, requires_grad=True)
    layer = torch.nn.Conv2d(TRAINED[1], TRAINED[1], 3, padding=1).to(device)

    def run(low: bool) -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=low):
            out = layer(x)
        out.float().sum().backward()
        if device == "cuda":
            torch.cuda.synchronize()

    times = time_turns({"bf16": lambda: run(True), "f32": lambda: run(False)}, ROUNDS)
    pairs = zip(times["bf16"], times["f32"], strict=True)
    return round(statistics.median(low / full for low, full in pairs), 2)
