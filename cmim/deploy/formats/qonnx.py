"""QONNX, which tools for FPGAs read: bipolar weights and activations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmim.deploy.formats.format import Checked, Format, PackedNetwork, WrittenLayer

if TYPE_CHECKING:
    from mmengine.model import BaseModel


def write_qonnx(network: PackedNetwork, path: Path) -> list[WrittenLayer]:
    """Write QONNX. No layers are listed: what an FPGA makes of them is its tools'."""
    from cmim.deploy.network_core import OUTPUT
    from cmim.deploy.qonnx_export import save_qonnx
    from cmim.task_model import describe

    found = describe(network.model)
    names = [f"{OUTPUT}{task}" for task in found.heads] if found.joint else ["output"]
    save_qonnx(
        network.core,
        network.example,
        path,
        names,
        found.normalisation,
        network.identity,
    )
    return []


def check_in_qonnx(network: PackedNetwork, path: Path) -> Checked:
    """Run the file in qonnx, and compare its layers and its outputs with torch's."""
    import torch

    from cmim.deploy.compare_outputs import compare_outputs
    from cmim.deploy.qonnx_export import QonnxNetwork, compare_layers

    written = QonnxNetwork(path)
    tensors = written.tensors(network.example.numpy())
    rows = compare_layers(written.layers, tensors, network.core)
    with torch.no_grad():
        expected = network.core(network.example)
    ours = [tensors[name] for name in written.names]
    return Checked(verified=rows, **compare_outputs(ours, expected))


def read_qonnx(model_config: dict, path: str, identity: dict[str, Any]) -> BaseModel:
    """A task model that qonnx runs."""
    from cmim.deploy.engine import task_model_of
    from cmim.deploy.qonnx_export import QonnxNetwork
    from cmim.optional_packages import require_packages

    require_packages("reading .qonnx files", "qonnx")
    return task_model_of(QonnxNetwork(path), model_config, identity)


FORMAT = Format(
    suffix=".qonnx",
    about="for tools of FPGAs (FINN, hls4ml): signs by BipolarQuant; tools/test.py and "
    "tools/predict.py take it, too, and are slow with it",
    checks="binary layers and the output with torch's, in qonnx",
    packages=("onnx",),
    check_packages=("qonnx",),
    # In protocol buffers the length, "@", stands between a name and its value.
    seal=re.compile(rb"(?<=cmim\.sha256\x12@)[0-9a-f]{64}"),
    write=write_qonnx,
    check=check_in_qonnx,
    read=read_qonnx,
)
