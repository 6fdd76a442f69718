"""From a packed torch network to a raw program, through ``torch.export``."""

from __future__ import annotations

import copy
import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import InputKind

from cmim.deploy.binary_layer import BinaryLayer, ExportError
from cmim.deploy.packed_conv import PackedConv
from cmim.deploy.raw_operators import HANDLERS
from cmim.deploy.raw_program import INPUT, Program, Step, fold_affine
from cmim.deploy.raw_recorder import Recorder, Value

# Networks are traced with two images: operators that mix images change the shape.
IMAGES = 2
# These operators need the image's type and size alone.
LIKE_THE_IMAGE = ("aten.new_full", "aten.new_ones", "aten.new_zeros")


def _packed_layer(x: Tensor, name: str, shape: list[int]) -> Tensor:
    return x.new_empty(shape)


# A packed layer is one operator in a traced graph, which knows the layer's name.
_mark = torch.library.custom_op(
    "cmim::packed_layer",
    _packed_layer,
    mutates_args=(),
    schema="(Tensor x, str name, int[] shape) -> Tensor",
)
_mark.register_fake(_packed_layer)


class _Marked(nn.Module):
    """Stands for a packed layer while a network is traced."""

    def __init__(self, name: str, layer: BinaryLayer) -> None:
        super().__init__()
        self.name, self.layer = name, layer

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        size = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                x.shape[2:],
                layer.padding,
                layer.dilation,
                layer.shape[2:],
                layer.stride,
                strict=True,
            )
        ]
        shape = [x.shape[0], layer.shape[0], *size]
        return torch.ops.cmim.packed_layer(x, self.name, shape)


@torch.no_grad()
def build_program(
    core: nn.Module,
    example: Tensor,
    normalisation: dict[str, list[float]] | None = None,
) -> Program:
    """The program of a packed network.

    Batch-norm becomes a scale and a shift, joined with the convolution in front of it
    unless that is binary. Values that do not depend on the image are computed here.

    Args:
        core: Made by :func:`cmim.deploy.packed_conv.pack_network`.
        example: An input ``(N, 3, H, W)``; its height and width are the program's.
        normalisation: ``mean`` and ``std`` of RGB of 0 to 255; images are taken as they
            are when None.

    Returns:
        A program for any number of images.

    Raises:
        ExportError: An operation that the vocabulary lacks, by name.

    Examples:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()).eval()
        >>> [step.op for step in build_program(net, torch.zeros(1, 3, 2, 2)).steps]
        ['conv', 'relu']
    """
    core = copy.deepcopy(core).eval()
    layers = {}
    for name, module in list(core.named_modules()):
        if isinstance(module, PackedConv):
            layers[name] = module.layer
            parent, _, child = name.rpartition(".")
            setattr(core.get_submodule(parent), child, _Marked(name, module.layer))
    images = example[:1].float().expand(IMAGES, *example.shape[1:]).contiguous()
    # No decompositions: operators stay as the layers call them, without mutations.
    exported = torch.export.export(core, (images,)).run_decompositions({})
    recorder = Recorder(layers)
    outputs = _walk(exported, recorder)
    steps = _needed(recorder.steps, outputs)
    shape = tuple(int(n) for n in example.shape[1:])
    return fold_affine(Program(shape, steps, outputs, normalisation or {}))


def _walk(exported: Any, recorder: Recorder) -> tuple[str, ...]:
    """Record every operator; the names of the outputs."""
    stored = {**exported.state_dict, **exported.constants}
    given = {spec.arg.name: spec for spec in exported.graph_signature.input_specs}
    values: dict[fx.Node, Any] = {}
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            spec = given[node.name]
            if spec.kind == InputKind.USER_INPUT:
                values[node] = Value(INPUT, tuple(node.meta["val"].shape[1:]))
            else:
                values[node] = stored[spec.target].detach()
        elif node.op == "call_function":
            values[node] = _call(node, values, recorder)
        elif node.op == "output":
            found = [values[out] for out in node.args[0]]
            return tuple(value.name for value in found)
    raise ExportError("the traced network has no output")


def _call(node: fx.Node, values: dict[fx.Node, Any], recorder: Recorder) -> Any:
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: values[n])
    if node.target is operator.getitem and isinstance(args[0], list):
        return args[0][args[1]]  # type: ignore[index]
    # Other handlers give the first output of an operator that has several.
    if node.target is operator.getitem and isinstance(args[0], Value):
        if args[1] != 0 and node.users:
            raise ExportError(f"{node.args[0]}: only its first output is exported")
        return args[0]
    name = ".".join(str(node.target).split(".")[:2])
    if name == "aten._assert_tensor_metadata":
        return None
    if name in LIKE_THE_IMAGE:
        args = (torch.zeros(()), *args[1:])
    reads: list[Any] = []
    fx.node.map_aggregate((args, kwargs), reads.append)
    if not any(isinstance(x, Value) for x in reads):
        return node.target(*args, **kwargs)  # type: ignore[operator]
    where = _module_of(node)
    if name not in HANDLERS:
        raise ExportError(
            f"{where}: the raw format has no {name}: export to .xml or .onnx"
        )
    shown = node.meta["val"]
    shape = (shown[0] if isinstance(shown, (list, tuple)) else shown).shape
    if len(shape) < 2 or shape[0] != IMAGES:
        raise ExportError(f"{where}: {name} mixes the images of a batch")
    recorder.shape, recorder.caller = tuple(int(n) for n in shape[1:]), where
    try:
        return HANDLERS[name](recorder, *args, **kwargs)
    except ExportError as error:
        raise ExportError(f"{where}: {error}") from None
    except TypeError as error:
        raise ExportError(
            f"{where}: {name} in a form that is not known: {error}"
        ) from None


def _module_of(node: fx.Node) -> str:
    """The name of the module that called an operator."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return (stack[-1][0] if stack else "") or "network"


def _needed(steps: list[Step], outputs: tuple[str, ...]) -> tuple[Step, ...]:
    """Steps that an output depends on."""
    wanted, kept = set(outputs), []
    for step in reversed(steps):
        if step.output in wanted:
            wanted.update(step.inputs)
            kept.append(step)
    return tuple(reversed(kept))
