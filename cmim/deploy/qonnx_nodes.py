"""Steps of a raw program as nodes of ONNX, binary ones by QONNX's ``BipolarQuant``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import helper

from cmim.deploy.numpy_reference import convolve, unpack_signs
from cmim.deploy.qonnx_graph import (
    Graph,
    name_of,
    per_channel,
    scaled,
    shifted,
    signs_of,
    whole_shape,
)
from cmim.deploy.raw_program import Program, Step


def _window(step: Step, kernel: Sequence[int]) -> dict[str, Any]:
    options = step.options
    return dict(
        kernel_shape=list(kernel),
        strides=list(options["stride"]),
        dilations=list(options["dilation"]),
        pads=list(options["padding"]) * 2,
    )


def _binary_conv(graph: Graph, step: Step, x: str) -> str:
    """Differences, their signs, convolutions of signs, and scales behind them.

    A sum of signs is a whole number, exact in any order, so that scales come last.
    Levels that are whole numbers, such as {0, 1}, stand in front of the convolution,
    others behind it, where their mean is a map that the image does not change.
    """
    name, shape, source = name_of(step), whole_shape(step, graph), x
    if step.options["centred"]:
        axes = dict(axes=[1, 2, 3], keepdims=1)
        mean = graph.add("ReduceMean", [x], (graph.images, 1, 1, 1), name, **axes)
        x = graph.add("Sub", [x, mean], graph.shapes[x], name)
    total = ""
    for cut, (low, high) in zip(
        step.arrays["thresholds"], step.options["levels"], strict=True
    ):
        codes = _codes(graph, x, cut, name)
        whole = float(low).is_integer() and float(high).is_integer()
        half, middle = (high - low) / 2, (high + low) / 2
        if whole:
            codes = scaled(graph, codes, half, name, graph.shapes[codes])
            codes = shifted(graph, codes, middle, name)
            half, middle = 1.0, 0.0
        for bits, scale in zip(step.arrays["bits"], step.arrays["scales"], strict=True):
            part = _term(graph, step, codes, bits, scale.astype(float), half, middle)
            if total:
                part = graph.add("Add", [total, part], shape, name)
            total = part
    graph.layers.append((name, source, total))
    return total


def _codes(graph: Graph, x: str, cut: np.ndarray, name: str) -> str:
    """``x >= cut`` as ``sign(x - cut)``: a difference is 0 for equal numbers alone."""
    if cut.any():
        given = graph.constant(f"{name}/threshold", per_channel(cut, 4))
        x = graph.add("Sub", [x, given], graph.shapes[x], name)
    return signs_of(graph, x, name)


def _term(
    graph: Graph,
    step: Step,
    codes: str,
    bits: np.ndarray,
    scale: np.ndarray,
    half: float,
    middle: float,
) -> str:
    """One convolution of codes with the signs of weights, and what it is scaled by."""
    name, shape = name_of(step), whole_shape(step, graph)
    # Filters that share their signs, as those of an offset, are one.
    bits = bits[:1] if (bits == bits[:1]).all() else bits
    signs = unpack_signs(bits, step.options["in_channels"])
    weight = signs_of(graph, graph.constant(f"{name}/weight", signs), f"{name}/weight")
    sums = graph.add(
        "Conv",
        [codes, weight],
        (shape[0], len(signs), *shape[2:]),
        name,
        group=1,
        **_window(step, signs.shape[2:]),
    )
    factor = per_channel(half * scale, 4)
    out = scaled(graph, sums, factor, name, shape)
    if middle:
        one = np.ones((1, 1, *graph.shapes[codes][2:]), np.float32)
        inside = convolve(one, signs.sum(1, keepdims=True), step.options)
        out = shifted(graph, out, middle * per_channel(scale, 4) * inside, name)
    return out


def _conv(graph: Graph, step: Step, x: str) -> str:
    name, weight = name_of(step), step.arrays["weight"]
    inputs = [x, graph.constant(f"{name}/weight", weight)]
    if step.arrays["bias"].any():
        inputs.append(graph.constant(f"{name}/bias", step.arrays["bias"]))
    window = _window(step, weight.shape[2:])
    group = step.options.get("groups", 1)
    return graph.add(
        "Conv", inputs, whole_shape(step, graph), name, group=group, **window
    )


def _linear(graph: Graph, step: Step, x: str) -> str:
    name = name_of(step)
    weight = graph.constant(f"{name}/weight", step.arrays["weight"].T)
    out = graph.add("MatMul", [x, weight], whole_shape(step, graph), name)
    return shifted(graph, out, step.arrays["bias"][None], name)


def _affine(graph: Graph, step: Step, x: str) -> str:
    name, shape = name_of(step), whole_shape(step, graph)
    scale, shift = (
        per_channel(step.arrays[role], len(shape)) for role in ("scale", "shift")
    )
    return shifted(graph, scaled(graph, x, scale, name, shape), shift, name)


def _plain(op: str) -> Callable[..., str]:
    """Operators of values alone."""
    return lambda graph, step, *inputs: graph.add(
        op, inputs, whole_shape(step, graph), name_of(step)
    )


def _prelu(graph: Graph, step: Step, x: str) -> str:
    slope = per_channel(step.arrays["slope"], len(step.shape) + 1)[0]
    given = graph.constant(f"{name_of(step)}/slope", slope)
    return graph.add("PRelu", [x, given], whole_shape(step, graph), name_of(step))


def _clip(graph: Graph, step: Step, x: str) -> str:
    # Clip with one limit would leave an input out, which the executor does not take.
    for op, key in (("Max", "low"), ("Min", "high")):
        if step.options[key] is not None:
            limit = graph.constant(f"{name_of(step)}/{key}", step.options[key])
            x = graph.add(op, [x, limit], whole_shape(step, graph), name_of(step))
    return x


def _pool(op: str, **more: int) -> Callable[..., str]:
    def handle(graph: Graph, step: Step, x: str) -> str:
        options = step.options
        window = dict(
            kernel_shape=options["kernel"],
            strides=options["stride"],
            pads=[*options["begin"], *options["end"]],
            **more,
        )
        if op == "MaxPool":
            window["dilations"] = options["dilation"]
        return graph.add(op, [x], whole_shape(step, graph), name_of(step), **window)

    return handle


def _reduced(op: str) -> Callable[..., str]:
    def handle(graph: Graph, step: Step, x: str) -> str:
        keep = len(step.shape) + 1 == len(graph.shapes[x])
        axes = [axis + 1 for axis in step.options["axes"]]
        shape, name = whole_shape(step, graph), name_of(step)
        return graph.add(op, [x], shape, name, axes=axes, keepdims=keep)

    return handle


def _resize(graph: Graph, step: Step, x: str) -> str:
    name, shape = name_of(step), whole_shape(step, graph)
    # Inputs in front of the sizes, which opset 11 wants to be there, and empty.
    region, factors = (graph.constant(f"{name}/{n}", []) for n in ("roi", "scales"))
    sizes = graph.constant(f"{name}/sizes", shape, np.int64)
    # Not "pytorch_half_pixel": torch gives one pixel the middle, not the first.
    return graph.add(
        "Resize",
        [x, region, factors, sizes],
        shape,
        name,
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


def _concat(graph: Graph, step: Step, *inputs: str) -> str:
    axis = step.options["axis"] + 1
    return graph.add(
        "Concat", inputs, whole_shape(step, graph), name_of(step), axis=axis
    )


def _with_numbers(op: str, *roles: Callable[[Graph, Step], Any]) -> Callable[..., str]:
    """Operators whose options are whole numbers in further inputs."""

    def handle(graph: Graph, step: Step, x: str) -> str:
        name = name_of(step)
        given = [
            graph.constant(f"{name}/{op}", numbers(graph, step), np.int64)
            for numbers in roles
        ]
        return graph.add(op, [x, *given], whole_shape(step, graph), name)

    return handle


def _pad(graph: Graph, step: Step, x: str) -> str:
    name, widths = name_of(step), [(0, 0), *step.options["widths"]]
    ends = graph.constant(f"{name}/pads", np.transpose(widths).ravel(), np.int64)
    value = graph.constant(f"{name}/value", step.options["value"])
    return graph.add("Pad", [x, ends, value], whole_shape(step, graph), name)


def _constant(graph: Graph, step: Step) -> str:
    return graph.constant(name_of(step), step.arrays["value"][None])


HANDLERS: dict[str, Callable[..., str]] = {
    "binary_conv": _binary_conv,
    "conv": _conv,
    "linear": _linear,
    "affine": _affine,
    "add": _plain("Add"),
    "subtract": _plain("Sub"),
    "multiply": _plain("Mul"),
    "divide": _plain("Div"),
    "relu": _plain("Relu"),
    "exp": _plain("Exp"),
    "absolute": _plain("Abs"),
    "prelu": _prelu,
    "clip": _clip,
    "max_pool": _pool("MaxPool"),
    "avg_pool": _pool("AveragePool", count_include_pad=0),
    "mean": _reduced("ReduceMean"),
    "norm": _reduced("ReduceL2"),
    "resize": _resize,
    "concat": _concat,
    "slice": _with_numbers(
        "Slice",
        lambda graph, step: [step.options["start"]],
        lambda graph, step: [step.options["stop"]],
        lambda graph, step: [step.options["axis"] + 1],
        lambda graph, step: [step.options["step"]],
    ),
    "pad": _pad,
    "reshape": _with_numbers("Reshape", lambda graph, step: whole_shape(step, graph)),
    "broadcast": _with_numbers("Expand", lambda graph, step: whole_shape(step, graph)),
    "constant": _constant,
}


def build_graph(program: Program, images: int, outputs: Sequence[str]) -> Graph:
    """A program as nodes.

    Args:
        program: Of :func:`cmim.deploy.raw_trace.build_program`.
        images: Images at a time.
        outputs: Names of its outputs.
    """
    graph = Graph(images, program.input_shape)
    for step in program.steps:
        inputs = [graph.places[name] for name in step.inputs]
        graph.places[step.output] = HANDLERS[step.op](graph, step, *inputs)
    for value, name in zip(program.outputs, outputs, strict=True):
        made = graph.places[value]
        shape = graph.shapes.get(made) or graph.constants[made].shape
        graph.nodes.append(helper.make_node("Identity", [made], [name], name))
        graph.shapes[name] = shape
    return graph
