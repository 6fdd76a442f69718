"""Files of QONNX, and the executor of the package ``qonnx`` that runs them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from cmim.deploy.binary_layer import BinaryLayer, ExportError
from cmim.deploy.engine import ExportedNetwork
from cmim.deploy.exported_model import task_of
from cmim.deploy.formats.format import CheckedLayer
from cmim.deploy.packed_conv import PackedConv
from cmim.deploy.qonnx_graph import as_model, check_nodes
from cmim.deploy.qonnx_nodes import build_graph
from cmim.deploy.raw_program import INPUT
from cmim.deploy.raw_trace import build_program
from cmim.deploy.seal import EMPTY, KEY, check_seal, seal
from cmim.whole_output import whole_output

LAYERS = "cmim.layers"
# Scaled sums in float32 against ones in float64.
ROUNDING = 1e-6


def save_qonnx(
    core: nn.Module,
    example: Tensor,
    path: str | Path,
    outputs: Sequence[str] = ("output",),
    normalisation: dict[str, list[float]] | None = None,
    identity: dict[str, Any] | None = None,
) -> None:
    """Write a packed network as QONNX, in one file, with a digest (``cmim.sha256``).

    Args:
        core: Made by :func:`cmim.deploy.packed_conv.pack_network`.
        example: An input of it; its shape is the model's.
        path: The ``.qonnx`` file.
        outputs: Names of the outputs.
        normalisation: ``mean`` and ``std`` of RGB of 0 to 255, which the file's
            metadata repeat as ``cmim.mean`` and ``cmim.std``.
        identity: :func:`cmim.identity.identity_of` its config, kept as JSON in
            ``cmim.identity``.

    Raises:
        ExportError: A layer or an operation that has no form there, by name.
    """
    try:
        program = build_program(core, example)
    except ExportError as error:
        words = str(error).replace("the raw format has", "QONNX files have")
        raise ExportError(words) from None
    graph = build_graph(program, len(example), outputs)
    model = as_model(graph, outputs)
    notes = {f"cmim.{k}": " ".join(f"{v:g}" for v in values)
             for k, values in (normalisation or {}).items()}  # fmt: skip
    # The tensors that go into each binary layer and come out, to look at them.
    notes[LAYERS] = json.dumps(graph.layers)
    if identity is not None:
        notes["cmim.identity"] = json.dumps(identity)
    onnx.helper.set_model_props(model, {**notes, f"cmim.{KEY}": EMPTY})
    with whole_output(path) as place:
        place.write_bytes(model.SerializeToString())
        seal(place)


class QonnxNetwork(ExportedNetwork):
    """A ``.qonnx`` file in qonnx's own executor, a node at a time: slow, and exact.

    Args:
        path: The file.

    Raises:
        ExportError: The file is missing or not as it was exported.
    """

    def __init__(self, path: str | Path) -> None:
        from qonnx.core.modelwrapper import ModelWrapper

        if not Path(path).is_file():
            raise ExportError(f"exported model {path} does not exist")
        check_seal(path)
        try:
            read = onnx.load_from_string(Path(path).read_bytes())
            notes = {entry.key: entry.value for entry in read.metadata_props}
            identity = json.loads(notes.get("cmim.identity", "null"))
            layers = [(a, b, c) for a, b, c in json.loads(notes[LAYERS])]
        except (DecodeError, ValueError, LookupError, TypeError) as error:
            raise ExportError(f"{path} is damaged: {error}") from None
        if not isinstance(identity, (dict, type(None))):
            raise ExportError(f"{path} is damaged: its identity is no JSON object")
        if found := check_nodes(read):
            raise ExportError(f"{path} has {found}, which no export writes: not run")
        model = ModelWrapper(read)
        names = [output.name for output in model.graph.output]
        super().__init__(
            str(path),
            identity,
            tuple(model.get_tensor_shape(INPUT)),
            [task_of(name) for name in names],
            [int(model.get_tensor_shape(name)[1]) for name in names],
        )
        self.model, self.names, self.layers = model, names, layers

    def tensors(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """All values of a run, by the names of the tensors."""
        from qonnx.core.onnx_exec import execute_onnx

        return execute_onnx(self.model, {INPUT: images}, return_full_exec_context=True)

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        found = self.tensors(images)
        return [found[name] for name in self.names]


@torch.no_grad()
def compare_layers(
    layers: Sequence[tuple[str, str, str]],
    tensors: dict[str, np.ndarray],
    core: nn.Module,
) -> list[CheckedLayer]:
    """Compare each binary layer of a run with the packed one, from equal inputs.

    A layer of one product and whole levels must give the same numbers; the scaled sums
    of others are added up in float32, and may differ by rounding.

    Args:
        layers: Name, tensor that goes in and tensor that comes out.
        tensors: Values of the run.
        core: The packed network that the file was made of.
    """
    found = [module for module in core.modules() if isinstance(module, PackedConv)]
    modules = {module.layer.name: module for module in found}
    rows = []
    for name, source, result in layers:
        layer = modules[name].layer
        expected = modules[name](torch.from_numpy(tensors[source])).numpy()
        allowed = 0 if _is_exact(layer) else ROUNDING * float(np.abs(expected).max())
        o, i, kh, kw = layer.shape
        rows.append(
            CheckedLayer(
                layer=name,
                shape=f"{i} to {o}, {kh}x{kw}",
                products=layer.products,
                values=expected.size,
                wrong=int((np.abs(tensors[result] - expected) > allowed).sum()),
            )
        )
    return rows


def _is_exact(layer: BinaryLayer) -> bool:
    levels = [level for step in layer.steps for level in (step.low, step.high)]
    whole = all(float(level).is_integer() for level in levels)
    return whole and len(layer.steps) == len(layer.terms) == 1
