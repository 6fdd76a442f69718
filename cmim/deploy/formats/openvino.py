"""OpenVINO, which runs the network with one bit an activation, also in our tools."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmim.deploy.formats.format import Checked, Format, PackedNetwork, WrittenLayer

if TYPE_CHECKING:
    from mmengine.model import BaseModel


def write_xml(network: PackedNetwork, path: Path) -> list[WrittenLayer]:
    """Write ``.xml`` and ``.bin``; the layers are those that the engine runs."""
    import torch

    from cmim.deploy.openvino_export import convert_packed, describe, save_model
    from cmim.deploy.quantize import quantize_rest

    with torch.no_grad():
        network.core(network.example)  # so that packed layers know their sizes
    converted = convert_packed(network.core, network.example)
    if network.rest == "int8":
        images = network.calibration_images()
        converted = quantize_rest(converted, images, everything=not network.packed)
    describe(converted, network.model, network.identity)
    save_model(converted, path)
    return engine_layers(path)


def engine_layers(path: str | Path) -> list[WrittenLayer]:
    """What the engine runs: name, type and kernel of each layer with weights."""
    from cmim.deploy.shared_core import FLOAT32, shared_core

    compiled = shared_core().compile_model(str(path), "CPU", FLOAT32)
    rows = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        kind = info["layerType"].astype(str)
        if "Convolution" in kind or kind in ("FullyConnected", "MatMul"):
            rows.append(
                WrittenLayer(
                    name=node.get_friendly_name(),
                    type=kind,
                    kernel=info["primitiveType"].astype(str),
                    output="x".join(str(n) for n in node.get_output_shape(0)),
                )
            )
    return rows


def check_layers(network: PackedNetwork, path: Path) -> Checked:
    """Run each binary layer alone in the engine, and compare it with integers."""
    from cmim.deploy.verify import verify_layers

    return Checked(verified=verify_layers(network.core, network.example))


def read_xml(model_config: dict, path: str, identity: dict[str, Any]) -> BaseModel:
    """A task model that the engine runs, see :func:`load_exported`."""
    from cmim.deploy.exported_model import load_exported

    return load_exported(model_config, path, identity=identity)


FORMAT = Format(
    suffix=".xml",
    beside=(".bin",),
    seal=re.compile(rb'(?<=<sha256 value=")[0-9a-f]{64}'),
    about="for OpenVINO, which runs it with one bit an activation; tools/test.py and "
    "tools/predict.py take the .xml in place of a checkpoint",
    checks="binary layers with integers, in OpenVINO",
    packages=("openvino",),
    rests={"float32": (), "int8": ("nncf",)},
    write=write_xml,
    check=check_layers,
    read=read_xml,
)
