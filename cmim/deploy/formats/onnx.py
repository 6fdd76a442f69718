"""ONNX, for engines without binary operators."""

from __future__ import annotations

import re
from pathlib import Path

from cmim.deploy.formats.format import Checked, Format, PackedNetwork, WrittenLayer


def write_onnx(network: PackedNetwork, path: Path) -> list[WrittenLayer]:
    """Write ONNX. No layers are listed, since each engine chooses its own."""
    from cmim.deploy.onnx_export import check_onnx, save_onnx
    from cmim.task_model import describe

    mean_and_std = describe(network.model).normalisation
    save_onnx(network.core, network.example, path, mean_and_std, network.identity)
    check_onnx(path, network.identity)
    return []


def check_in_openvino(network: PackedNetwork, path: Path) -> Checked:
    """Run the file in OpenVINO, and compare its outputs with torch's."""
    import torch

    from cmim.deploy.compare_outputs import compare_outputs
    from cmim.deploy.shared_core import FLOAT32, shared_core

    compiled = shared_core().compile_model(str(path), "CPU", FLOAT32)
    with torch.no_grad():
        expected = network.core(network.example)
    ours = list(compiled(network.example.numpy()).values())
    return Checked(verified=[], **compare_outputs(ours, expected))


FORMAT = Format(
    suffix=".onnx",
    about="signs in float32, for engines without binary operators",
    checks="the output with torch's, in OpenVINO",
    packages=("onnx", "onnxscript"),
    check_packages=("openvino",),
    # In protocol buffers the length, "@", stands between a name and its value.
    seal=re.compile(rb"(?<=cmim\.sha256\x12@)[0-9a-f]{64}"),
    write=write_onnx,
    check=check_in_openvino,
)
