"""OpenVINO: its kernel of binary convolutions here, and whether that is exact."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from cmim.doctor.findings import EngineFindings
from cmim.engine.sentences import sentence_of

CHANNELS, SIZE = 64, 12


def examine_engine() -> EngineFindings:
    """Compile one binary layer, run it, and compare it with integers."""
    found = EngineFindings(
        version=None,
        kernels=[],
        said="",
        exact=None,
        error=None,
        binary_ms=None,
        float_ms=None,
    )
    try:
        found["version"] = version("openvino")
    except PackageNotFoundError:
        return found
    try:
        found.update(_compile_and_run())
    except Exception as error:
        found["error"] = sentence_of(error)
    return found


def _compile_and_run() -> EngineFindings:
    """``kernels``, ``said`` and ``exact``."""
    import torch

    from cmim.deploy.cpu_kernels import (
        binary_kernels,
        describe_kernels,
        has_vector_popcount,
    )
    from cmim.deploy.packed_conv import PackedConv
    from cmim.deploy.verify import compile_layer
    from cmim.doctor.speed import binary_layer

    layer = binary_layer(CHANNELS)
    shape = (1, CHANNELS, SIZE, SIZE)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    compiled = compile_layer(layer, shape)
    ours = torch.from_numpy(compiled(x.numpy())[0])
    kernels = binary_kernels(compiled)
    return dict(  # type: ignore[return-value]
        kernels=kernels,
        said=describe_kernels(kernels, popcount=has_vector_popcount()),
        exact=bool(torch.equal(ours, PackedConv(layer)(x))),
    )
