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
        _compile_and_run(found)
    except Exception as error:
        found["error"] = sentence_of(error)
    return found


def _compile_and_run(found: EngineFindings) -> None:
    """Fill in ``kernels``, ``said`` and ``exact``."""
    import torch

    from cmim.deploy.cpu_kernels import (
        binary_kernels,
        describe_kernels,
        has_vector_popcount,
    )
    from cmim.deploy.packed_conv import PackedConv
    from cmim.deploy.sample_layer import sample_layer
    from cmim.deploy.verify import compile_layer

    layer = sample_layer(CHANNELS)
    shape = (1, CHANNELS, SIZE, SIZE)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    compiled = compile_layer(layer, shape)
    ours = torch.from_numpy(compiled(x.numpy())[0])
    found["kernels"] = binary_kernels(compiled)
    found["said"] = describe_kernels(found["kernels"], popcount=has_vector_popcount())
    found["exact"] = bool(torch.equal(ours, PackedConv(layer)(x)))
