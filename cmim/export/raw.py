"""Write a packed network for other engines and for hardware, and check the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cmim.deploy.numpy_reference import Network, load_network
from cmim.deploy.packed_conv import PackedConv
from cmim.deploy.raw_trace import build_program
from cmim.identity import check_identity


def write_npz(
    core: nn.Module,
    example: Tensor,
    out: str | Path,
    normalisation: dict[str, list[float]],
    verify: bool,
    identity: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the raw format, and run it in NumPy against torch.

    Args:
        core: A packed network.
        example: An input of it.
        out: The ``.npz`` file.
        normalisation: Mean and standard deviation of the images.
        verify: Compare every binary layer and the output with torch.
        identity: What the network answers, for the file to say.

    Returns:
        ``layers`` (the steps) and ``verified`` rows, see :func:`compare_layers` and
        :func:`compare_outputs`.
    """
    program = build_program(core, example, normalisation)
    replace(program, identity=identity).save(out)
    network = load_network(out)
    check_identity(identity or {}, network.document.get("identity"), out)
    layers = [
        dict(
            name=step["name"],
            type=step["op"],
            kernel=_weights(step, network.arrays),
            output="x".join(map(str, step["shape"])),
        )
        for step in network.steps
    ]
    if not verify:
        return dict(layers=layers, verified=[])
    rows, expected = compare_layers(network, core, example)
    outputs = network.run(example.numpy())
    ours = outputs if isinstance(outputs, tuple) else (outputs,)
    found = compare_outputs(ours, [output.numpy() for output in expected])
    return dict(layers=layers, verified=rows, **found)


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


def write_onnx(
    core: nn.Module,
    example: Tensor,
    out: str | Path,
    normalisation: dict[str, list[float]],
    verify: bool,
    identity: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write ONNX, and run it in OpenVINO against torch.

    Args:
        core: A packed network.
        example: An input of it.
        out: The ``.onnx`` file.
        normalisation: Mean and standard deviation of the images.
        verify: Compare the output with torch.
        identity: What the network answers, for the file to say.

    Returns:
        ``layers`` (none: engines choose theirs) and ``verified`` (no rows), see
        :func:`compare_outputs`.
    """
    from cmim.deploy.onnx_export import check_onnx, save_onnx

    save_onnx(core, example, out, normalisation, identity)
    check_onnx(out, identity or {})
    found: dict[str, Any] = dict(layers=[], verified=[])
    if verify:
        from cmim.deploy.shared_core import shared_core

        options = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = shared_core().compile_model(str(out), "CPU", options)
        with torch.no_grad():
            expected = core(example)
        ours = list(compiled(example.numpy()).values())
        outputs = expected if isinstance(expected, tuple) else (expected,)
        found |= compare_outputs(ours, [output.numpy() for output in outputs])
    return found


WRITERS: dict[str, Callable[..., dict[str, Any]]] = {
    "npz": write_npz,
    "onnx": write_onnx,
}


@torch.no_grad()
def compare_layers(
    network: Network, core: nn.Module, example: Tensor
) -> tuple[list[dict[str, Any]], tuple[Tensor, ...]]:
    """Each binary layer of a file against the packed layer, from equal inputs.

    Args:
        network: Read from the file.
        core: The packed network that it was made of.
        example: An input, which gives the layers' real activations.

    Returns:
        Rows ``layer``, ``shape``, ``products``, ``values`` and ``wrong``, the number
        of outputs that are not the same float32; and the core's outputs.
    """
    from cmim.deploy.numpy_reference import binary_conv

    calls: dict[str, tuple[Tensor, Tensor]] = {}
    modules = {n: m for n, m in core.named_modules() if isinstance(m, PackedConv)}
    handles = [
        module.register_forward_hook(
            lambda _, args, out, name=name: calls.__setitem__(name, (args[0], out))
        )
        for name, module in modules.items()
    ]
    expected = core(example)
    for handle in handles:
        handle.remove()
    rows = []
    for step in network.steps:
        if step["op"] != "binary_conv":
            continue
        name = step["name"]
        x, out = (tensor.numpy() for tensor in calls[name])
        arrays = {role: network.arrays[key] for role, key in step["arrays"].items()}
        ours, layer = binary_conv(step, arrays, x), modules[name].layer
        o, i, kh, kw = layer.shape
        rows.append(
            dict(
                layer=name,
                shape=f"{i} to {o}, {kh}x{kw}",
                products=layer.products,
                values=out.size,
                wrong=int((ours != out).sum()),
            )
        )
    return rows, expected if isinstance(expected, tuple) else (expected,)


def compare_outputs(
    ours: Sequence[np.ndarray], expected: Sequence[np.ndarray]
) -> dict[str, float]:
    """How far a file's outputs are from torch's.

    Args:
        ours: ``(N, K, ...)`` each.
        expected: The same shapes.

    Returns:
        ``difference``, the largest; ``largest``, the largest magnitude expected (of
        several outputs those of the one that is farthest off for its magnitude); and
        for one output of several classes ``same_class``, the share of places where the
        largest value is of the same class.

    Examples:
        >>> a, b = np.float32([[1.0, 2.0]]), np.float32([[3.0, 2.0]])
        >>> compare_outputs([a], [b])
        {'difference': 2.0, 'largest': 3.0, 'same_class': 0.0}
    """
    rows = [
        (float(np.abs(a - b).max()), float(np.abs(b).max()))
        for a, b in zip(ours, expected, strict=True)
    ]
    difference, largest = max(rows, key=lambda row: row[0] / max(row[1], 1e-30))
    found = dict(difference=difference, largest=largest)
    if len(expected) == 1 and expected[0].shape[1] > 1:
        same = ours[0].argmax(axis=1) == expected[0].argmax(axis=1)
        found["same_class"] = float(same.mean())
    return found
