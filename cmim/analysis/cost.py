"""What a network costs at inference: bits, multiplications, memory, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cmim.layers import AttentionProducts, BinaryWeightLayer
from cmim.methods import (
    ActivationBinarizer,
    OutputScale,
    WeightBinarizer,
    outermost,
)

FULL = 32
# Counted as one thing, whatever modules it is made of.
# (Attention of torch reads the weights of its parts without calling them.)
WHOLE = (ActivationBinarizer, OutputScale, nn.MultiheadAttention)
MULTIPLYING = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


@dataclass(frozen=True)
class LayerCost:
    """Cost of one module at one input.

    Args:
        name: Name in the model.
        kind: Class of the module.
        shape: Of its output, without the batch.
        weight_bits: Bits of a weight; 0 without weights.
        activation_bits: Bits of an input value.
        parameters: Values that inference needs, of any precision.
        memory_bits: What they take.
        bops: Binary multiply-accumulates.
        flops: Full-precision multiply-accumulates.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    weight_bits: int
    activation_bits: int
    parameters: int
    memory_bits: int
    bops: int
    flops: int


class Codes(NamedTuple):
    """What a binary activation takes: bits of a value, binary tensors it is made of."""

    bits: int
    planes: int


def layer_costs(
    model: nn.Module, inputs: Tensor, **forward_options: Any
) -> list[LayerCost]:
    r"""Cost of every module that multiplies or holds values, in the order of use.

    A convolution of M terms of binary weights and an activation of N binary steps is
    M N binary convolutions: ``bops = M N MACs``; ``2^k - 1`` even steps are k bits, so
    k of them. Codes of {0, 1} cost what codes of {-1, +1} do. Binary weights on real
    activations count as full precision. As in the literature only convolutions and
    linear layers are counted, those of attention too, but not what works element by
    element; of attention's two products those of
    :class:`cmim.layers.AttentionProducts`, by their precision, and not those of torch's
    own attention; memory is 32 bits for
    each value of full precision (batch-norm's two, scales that are not 1, what an
    activation binarizer holds, slopes) and M bits for each binary weight.

    Args:
        model: Any network; put into evaluation mode for the count.
        inputs: What it is counted at; a batch of one image.
        forward_options: Further arguments of the forward pass.

    Returns:
        A row per module.

    References:
        Liu et al., Bi-Real Net, ECCV 2018, Section 4.3.
        https://arxiv.org/abs/1808.00278

    Examples:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False))
        >>> [row] = layer_costs(net, torch.zeros(1, 3, 6, 6))
        >>> row.shape, row.flops, row.memory_bits
        ((8, 4, 4), 3456, 6912)
    """
    rows: list[LayerCost] = []
    training = model.training
    model.eval()
    with torch.no_grad(), _recording(model, rows):
        model(inputs, **forward_options)
    model.train(training)
    return rows


def totals(rows: list[LayerCost]) -> dict[str, float]:
    """Sums over a network.

    Args:
        rows: From :func:`layer_costs`.

    Returns:
        ``bops``, ``flops``, ``ops = bops / 64 + flops`` (Bi-Real Net), ``parameters``
        and ``memory_mbit`` (10^6 bits).

    Examples:
        >>> row = LayerCost("conv", "Conv2d", (8, 4, 4), 1, 1, 90, 90, 6400, 28)
        >>> totals([row])["ops"]
        128.0
    """
    bops = sum(row.bops for row in rows)
    flops = sum(row.flops for row in rows)
    return dict(
        bops=bops,
        flops=flops,
        ops=bops / 64 + flops,
        parameters=sum(row.parameters for row in rows),
        memory_mbit=sum(row.memory_bits for row in rows) / 1e6,
    )


def as_records(rows: list[LayerCost]) -> list[dict[str, Any]]:
    """The rows as plain dictionaries, for JSON."""
    return [asdict(row) for row in rows]


@contextmanager
def _recording(model: nn.Module, rows: list[LayerCost]) -> Iterator[None]:
    """Append a row for each counted module while the block runs."""
    # Binary tensors by identity, kept alive so that no other gets their address.
    codes: dict[int, tuple[Tensor, Codes]] = {}
    # A module used twice works twice and is stored once.
    stored: set[int] = set()

    def see_codes(module: ActivationBinarizer, args: tuple, out: Tensor) -> None:
        codes[id(out)] = (out, _codes(module, args[0]))

    def count(name: str):
        def hook(
            module: nn.Module,
            args: tuple,
            named: dict[str, Any],
            given: Tensor | tuple[Tensor, ...],
        ) -> None:
            # An encoder that holds values of its own gives a level after another.
            out = given if isinstance(given, Tensor) else _last_tensor(given)
            inputs = [*args, *named.values()]
            seen = [codes[id(x)][1] if id(x) in codes else None for x in inputs]
            row = _row(name, module, inputs, out, seen, id(module) not in stored)
            stored.add(id(module))
            rows.append(row)

        return hook

    handles = []
    whole = outermost(model, (WeightBinarizer, *WHOLE))
    parts = tuple(f"{name}." if name else "" for name in whole)
    for name, module in model.named_modules():
        if isinstance(module, WeightBinarizer):
            continue
        if name not in whole and name.startswith(parts):
            continue
        if isinstance(module, ActivationBinarizer):
            handles.append(module.register_forward_hook(see_codes))
        if _held(module) or isinstance(module, AttentionProducts):
            hook = count(name)
            handles.append(module.register_forward_hook(hook, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _codes(binarizer: ActivationBinarizer, x: Tensor) -> Codes:
    steps = len(binarizer.steps(x))
    bits = math.ceil(math.log2(steps + 1))
    return Codes(bits, bits if binarizer.even else steps)


def _held(module: nn.Module) -> int:
    """Values of full precision in a module's parameters.

    Of what is counted as a whole those of its parts too, and statistics that its
    thresholds follow from; not what only the training or its schedule reads.
    """
    if not isinstance(module, WHOLE):
        return sum(p.numel() for p in module.parameters(recurse=False))
    left_out = _training_only(module)
    state = module.state_dict(keep_vars=True).items()
    return sum(
        value.numel()
        for name, value in state
        if value.is_floating_point()
        and name.split(".")[-1] != "progress"
        and not name.startswith(left_out)
    )


def _training_only(module: nn.Module) -> tuple[str, ...]:
    """Prefixes of names in the state of parts that inference does not need."""
    return tuple(
        f"{name}.{part}." if name else f"{part}."
        for name, inner in module.named_modules()
        if isinstance(inner, ActivationBinarizer)
        for part in inner.training_only
    )


def _row(
    name: str,
    module: nn.Module,
    inputs: Sequence[Any],
    out: Tensor,
    seen: Sequence[Codes | None],
    first: bool,
) -> LayerCost:
    own = _held(module)
    codes = seen[0]
    memory = FULL * own
    bops, flops = 0, module.macs if isinstance(module, OutputScale) else 0
    weight_bits = FULL
    if isinstance(module, BinaryWeightLayer):
        scales = sum(_stored_scales(scale) for scale, _ in module.terms())
        weight_bits = len(module.code_terms())
        memory = FULL * scales + weight_bits * own
        own += scales
    if isinstance(module, (BinaryWeightLayer, *MULTIPLYING)):
        # A transposed convolution spreads each input value instead of gathering.
        places = inputs[0] if isinstance(module, nn.ConvTranspose2d) else out
        macs = places[0].numel() * module.weight[0].numel()
        if isinstance(module, BinaryWeightLayer) and codes:
            bops = macs * weight_bits * codes.planes
            if module.weight_binarizer.offset:
                # One filter of ones, which all output channels of a group share.
                sharing = len(module.filters()) // getattr(module, "groups", 1)
                bops += macs // sharing * codes.planes
        else:
            flops = macs
    if isinstance(module, nn.MultiheadAttention):
        # Queries and answers, keys and values: a product with E x E weights each.
        queries, keys = inputs[:2]
        flops = 2 * (queries.numel() + keys.numel()) * module.embed_dim
    if isinstance(module, AttentionProducts):
        bops, flops = _products(module, inputs, seen)
    return LayerCost(
        name,
        type(module).__name__,
        tuple(out.shape[1:]),
        weight_bits,
        codes.bits if codes else FULL,
        own if first else 0,
        memory if first else 0,
        bops,
        flops,
    )


def _products(
    module: AttentionProducts, inputs: Sequence[Tensor], seen: Sequence[Codes | None]
) -> tuple[int, int]:
    """Binary and full-precision multiplications of the two products of attention."""
    queries, keys, values = seen
    macs = inputs[0][0].numel() * inputs[1].shape[1]
    probabilities = module.planes
    bops = flops = 0
    for one, other in (
        (queries and queries.planes, keys and keys.planes),
        (probabilities, values and values.planes),
    ):
        if one and other:
            bops += macs * one * other
        else:
            flops += macs
    return bops, flops


def _last_tensor(given: Sequence[Any]) -> Tensor:
    """The last output of a module that gives several, some of which may be None."""
    return next(part for part in reversed(given) if isinstance(part, Tensor))


def _stored_scales(scale: Tensor) -> int:
    """Distinct numbers of a scale: none for ones, one where it is only repeated."""
    if bool((scale == 1).all()):
        return 0
    return 1 if scale.stride(0) == 0 else scale.numel()
