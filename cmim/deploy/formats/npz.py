"""The raw format: bits and steps for hardware and other engines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmim.deploy.formats.format import (
    Checked,
    CheckedLayer,
    Format,
    PackedNetwork,
    WrittenLayer,
)

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from cmim.deploy.numpy_reference import Network


def write_npz(network: PackedNetwork, path: Path) -> list[WrittenLayer]:
    """Write the raw format; its steps are the layers."""
    from cmim.deploy.numpy_reference import load_network
    from cmim.deploy.raw_trace import build_program
    from cmim.identity import check_identity
    from cmim.task_model import describe

    mean_and_std = describe(network.model).normalisation
    program = build_program(network.core, network.example, mean_and_std)
    replace(program, identity=network.identity).save(path)
    written = load_network(path)
    check_identity(network.identity, written.document.get("identity"), path)
    return [
        WrittenLayer(
            name=step["name"],
            type=step["op"],
            kernel=_weights(step, written.arrays),
            output="x".join(map(str, step["shape"])),
        )
        for step in written.steps
    ]


def _weights(step: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    """Shape and precision of a step's weights."""
    if step["op"] == "binary_conv":
        terms, o, kh, kw, _ = arrays[step["arrays"]["bits"]].shape
        times = f"{terms} times " if terms > 1 else ""
        return f"{times}{o}x{step['in_channels']}x{kh}x{kw}, 1 bit"
    if "weight" not in step["arrays"]:
        return ""
    shape = arrays[step["arrays"]["weight"]].shape
    return f"{'x'.join(map(str, shape))}, float32"


def check_in_numpy(network: PackedNetwork, path: Path) -> Checked:
    """Run the file in NumPy, and compare its layers and its outputs with torch's."""
    from cmim.deploy.compare_outputs import compare_outputs
    from cmim.deploy.numpy_reference import load_network

    written = load_network(path)
    rows, expected = compare_layers(written, network.core, network.example)
    outputs = written.run(network.example.numpy())
    ours = outputs if isinstance(outputs, tuple) else (outputs,)
    return Checked(verified=rows, **compare_outputs(ours, expected))


def compare_layers(
    network: Network, core: nn.Module, example: Tensor
) -> tuple[list[CheckedLayer], tuple[Tensor, ...]]:
    """Compare each binary layer of a file with the packed one, from equal inputs.

    Args:
        network: Read from the file.
        core: The packed network that it was made of.
        example: An input, which gives the layers' real activations.

    Returns:
        A row for each binary layer, and the core's outputs.
    """
    from cmim.deploy.layer_calls import layer_calls
    from cmim.deploy.numpy_reference import binary_conv
    from cmim.deploy.packed_conv import PackedConv

    found, expected = layer_calls(core, example)
    # Steps are called as layers are, also where a module is a part of a layer.
    modules = {n: m for n, m in core.named_modules() if isinstance(m, PackedConv)}
    calls = {modules[name].layer.name: call for name, call in found.items()}
    layers = {module.layer.name: module.layer for module in modules.values()}
    rows = []
    for step in network.steps:
        if step["op"] != "binary_conv":
            continue
        name = step["name"]
        x, out = (tensor.numpy() for tensor in calls[name])
        arrays = {role: network.arrays[key] for role, key in step["arrays"].items()}
        ours, layer = binary_conv(step, arrays, x), layers[name]
        o, i, kh, kw = layer.shape
        rows.append(
            CheckedLayer(
                layer=name,
                shape=f"{i} to {o}, {kh}x{kw}",
                products=layer.products,
                values=out.size,
                wrong=int((ours != out).sum()),
            )
        )
    return rows, expected if isinstance(expected, tuple) else (expected,)


FORMAT = Format(
    suffix=".npz",
    about="raw bits and steps for hardware and other engines, with a reader in NumPy, "
    "one file that can be copied (python -m pydoc cmim.deploy.numpy_reference says "
    "where it lies)",
    checks="binary layers with integers and the output with torch's, in NumPy",
    write=write_npz,
    check=check_in_numpy,
)
