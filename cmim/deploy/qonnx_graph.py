"""Nodes of ONNX and of QONNX's ``BipolarQuant``, and the model that they make.

What stands beside ``BipolarQuant`` is ONNX of opset 11, which QONNX's own executor and
its readers prefer: batch-norms are a product and a sum, shapes are constants, optional
inputs are never left out in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cmim.deploy.raw_program import INPUT, Step

DOMAIN = "qonnx.custom_op.general"
OPSET = 11
OPERATORS = {
    "Abs", "Add", "AveragePool", "BipolarQuant", "Concat", "Conv", "Div", "Exp",
    "Expand", "Identity", "MatMul", "Max", "MaxPool", "Min", "Mul", "PRelu", "Pad",
    "ReduceL2", "ReduceMean", "Relu", "Reshape", "Resize", "Slice", "Sub",
}  # fmt: skip
# Of the container that opset 11 came with; readers of later ones read it.
IR_VERSION = 6


class Graph:
    """Nodes, constants and shapes so far.

    Args:
        images: Images at a time.
        input_shape: ``(C, H, W)``.
    """

    def __init__(self, images: int, input_shape: Sequence[int]) -> None:
        self.images = images
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.shapes: dict[str, tuple[int, ...]] = {INPUT: (images, *input_shape)}
        # Values of the program and the tensors that hold them.
        self.places = {INPUT: INPUT}
        # Binary layers, and the tensors that go in and come out.
        self.layers: list[tuple[str, str, str]] = []
        self._numbers: dict[str, int] = {}

    def new_name(self, name: str) -> str:
        """The name, with a number if it is taken."""
        count = self._numbers[name] = self._numbers.get(name, -1) + 1
        return f"{name}_{count}" if count else name

    def constant(self, name: str, values: Any, kind: Any = np.float32) -> str:
        """A tensor of numbers that do not depend on the image."""
        name = self.new_name(name)
        self.constants[name] = np.ascontiguousarray(values, dtype=kind)
        return name

    def add(
        self, op: str, inputs: Sequence[str], shape: Sequence[int], name: str, **options
    ) -> str:
        """Note a node with one output, and give the output's name.

        Args:
            op: Operator.
            inputs: Names of tensors.
            shape: Of the output, with the images.
            name: Of the module that it belongs to.
            options: Attributes.
        """
        assert op in OPERATORS
        domain = DOMAIN if op == "BipolarQuant" else ""
        name = self.new_name(f"{name}/{op}")
        output = f"{name}_out"
        self.nodes.append(
            helper.make_node(op, list(inputs), [output], name, domain=domain, **options)
        )
        self.shapes[output] = tuple(shape)
        return output


def name_of(step: Step) -> str:
    """What a step's nodes are called after: its module, or else its operation."""
    return step.name or step.op


def whole_shape(step: Step, graph: Graph) -> tuple[int, ...]:
    """Shape of a step's output, with the images."""
    return (graph.images, *step.shape)


def per_channel(values: np.ndarray, axes: int) -> np.ndarray:
    """A number a channel as a tensor of so many axes, the images' one first."""
    return values.reshape(1, -1, *[1] * (axes - 2))


def scaled(graph: Graph, x: str, factor: Any, name: str, shape: Sequence[int]) -> str:
    """A tensor times a number, one a channel, or a map; itself where all are 1."""
    if (np.asarray(factor) == 1).all() and graph.shapes[x] == tuple(shape):
        return x
    return graph.add("Mul", [x, graph.constant(f"{name}/scale", factor)], shape, name)


def shifted(graph: Graph, x: str, shift: Any, name: str) -> str:
    """A tensor plus the same kinds of numbers; itself where all are 0."""
    if not np.asarray(shift).any():
        return x
    given = graph.constant(f"{name}/shift", shift)
    return graph.add("Add", [x, given], graph.shapes[x], name)


def signs_of(graph: Graph, x: str, name: str) -> str:
    """+1 from 0 on, -1 below."""
    one = graph.constant(f"{name}/one", 1.0)
    shape = graph.constants[x].shape if x in graph.constants else graph.shapes[x]
    return graph.add("BipolarQuant", [x, one], shape, name)


def check_nodes(model: onnx.ModelProto) -> str:
    """What a file has that none of these files has, in words; empty for nothing.

    The executor of qonnx imports the module that a node's domain names, and numbers may
    stand in other files.

    Args:
        model: As read.
    """
    graph = model.graph
    for node in graph.node:
        domain = DOMAIN if node.op_type == "BipolarQuant" else ""
        if node.op_type not in OPERATORS or node.domain != domain:
            return f"the node {node.name!r} of type {node.domain}:{node.op_type}"
        if any(a.HasField("g") or a.graphs or a.HasField("t") for a in node.attribute):
            return f"the node {node.name!r} with a graph of its own"
    outside = [t.name for t in graph.initializer if t.external_data or t.data_location]
    if outside:
        return f"numbers in another file ({outside[0]})"
    if model.functions or graph.sparse_initializer or len(graph.input) != 1:
        return "functions, sparse numbers or several inputs"
    return ""


def as_model(graph: Graph, outputs: Sequence[str]) -> onnx.ModelProto:
    """The nodes as a model, with the shape of every tensor."""
    described = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in graph.shapes.items()
    }
    inside = [d for name, d in described.items() if name not in {INPUT, *outputs}]
    made = helper.make_graph(
        graph.nodes,
        "cmim",
        [described[INPUT]],
        [described[name] for name in outputs],
        [numpy_helper.from_array(v, name) for name, v in graph.constants.items()],
        value_info=inside,
    )
    return helper.make_model(
        made,
        producer_name="cmim",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)],
    )
