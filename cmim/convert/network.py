"""One line that makes a network binary."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from cmim.convert.choose import choose_layers
from cmim.convert.converted import ConvertedLayer
from cmim.convert.place import full_precision, place_converted
from cmim.convert.probe import LAYERS, evaluation, probe
from cmim.convert.recalibrate import recalibrate_batch_norm
from cmim.convert.relu import in_front_of
from cmim.convert.table import ConvertedRow
from cmim.layers.binary_weights import as_method
from cmim.methods import Method

RELUS = ("keep", "drop")


def convert(
    network: nn.Module,
    method: str | dict | Method = "reactnet",
    keep: Sequence[str] = (),
    binarize: Sequence[str] = (),
    pictures: Tensor | Sequence | None = None,
    example: Tensor | Sequence | None = None,
    relu: str = "keep",
    recalibrate: bool = False,
) -> tuple[nn.Module, list[ConvertedRow]]:
    """A copy of a network whose convolutions and linear layers are binary.

    Latent weights are those of the network. By default the first and last layer, 1x1
    shortcuts, depth-wise convolutions, patch embeddings and layers that work on one
    place stay full precision; so does what multiplies without being a layer, such as
    attention's scores. Everything else of the network stays as it is.

    Args:
        network: Any module with one argument. It is not changed.
        method: Name of a binarization method, or ``dict(name=..., **options)``. With
            ``'fp'`` the copy is equal to the network.
        keep: Glob patterns of layers that stay full precision besides, e.g.
            ``'layer1.*'``.
        binarize: Glob patterns of layers that become binary whatever the defaults say.
        pictures: An input of some pictures, as the network takes them (normalised),
            from which thresholds and scales are placed, see
            :func:`cmim.convert.place_converted`. Without it that is still to be done.
        example: An input for the pass that shows which layers run; the first of
            ``pictures``, or noise, when None.
        relu: ``'keep'``, or ``'drop'``: leave out non-linearities that one binary layer
            alone reads.
        recalibrate: Give the batch-norms of the binary network the statistics that they
            have on ``pictures``, see :func:`cmim.convert.recalibrate_batch_norm`;
            nothing with ``'fp'``.

    Returns:
        The binary network, and a row for each layer, in the order of use.

    Raises:
        ValueError: A pattern that matches nothing, a network without a layer that can
            become binary, an example that it does not take, an unknown method;
            ``relu='drop'`` where a shortcut reads the non-linearity, too;
            ``recalibrate`` without pictures.

    Examples:
        >>> net = nn.Sequential(
        ...     nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
        ...     nn.Conv2d(8, 4, 1))
        >>> binary, rows = convert(net, method="reactnet")
        >>> [(row.name, row.became or row.why) for row in rows]
        [('0', 'first layer'), ('2', 'BinaryConv2d'), ('4', 'last layer')]
    """
    if relu not in RELUS:
        raise ValueError(f"relu {relu!r} is unknown; choose from {', '.join(RELUS)}")
    if recalibrate and pictures is None:
        raise ValueError("recalibrate=True needs pictures=, whose statistics are taken")
    chosen = as_method(method)
    if example is None:
        # All outputs of the pass stay in memory for a while.
        example = pictures[:1] if isinstance(pictures, Tensor) else pictures
    seen = probe(network, example)
    reasons = choose_layers(network, seen, keep, binarize)
    binary = [name for name, reason in reasons.items() if reason is None]
    if not binary:
        kept = "; ".join(f"{n}: {r}" for n, r in list(reasons.items())[:5])
        raise ValueError(
            f"no layer of this {type(network).__name__} becomes binary "
            f"({kept or 'it has none'}): name some with binarize="
        )
    dropped = in_front_of(seen, binary) if relu == "drop" else {}
    del seen
    # Deeply, and in evaluation mode: weights may be computed when they are read.
    converted = copy.deepcopy(network)
    with evaluation(converted):
        made = _made(converted, binary, dropped, chosen) if chosen.is_binary else {}
        rows = [
            _row(name, converted.get_submodule(name), reason, chosen, made)
            for name, reason in reasons.items()
        ]
    converted = _with(converted, made)
    if chosen.is_binary:
        if dropped:
            _check_equal(network, converted, example)
        if pictures is not None:
            place_converted(converted, lambda: converted(pictures))
        if recalibrate:
            recalibrate_batch_norm(converted, [pictures])
    return converted, rows


def _row(
    name: str,
    layer: nn.Module,
    reason: str | None,
    method: Method,
    made: dict[nn.Module, nn.Module],
) -> ConvertedRow:
    new = made.get(layer)
    became = type(new.conv).__name__ if new is not None else ""
    why = "" if became else reason or f"method {method.name}"
    shape = tuple(cast(Tensor, layer.weight).shape)
    return ConvertedRow(name, type(layer).__name__, shape, became, why)


def _made(
    network: nn.Module, binary: Sequence[str], dropped: dict[str, str], method: Method
) -> dict[nn.Module, nn.Module]:
    """What stands in place of modules: binary layers, and nothing for non-linearities.

    Raises:
        ValueError: A layer, by name, that the method has no binary form of.
    """
    made: dict[nn.Module, nn.Module] = {}
    for name in binary:
        layer, former = network.get_submodule(name), None
        assert isinstance(layer, LAYERS)
        if name in dropped:
            dropping = network.get_submodule(dropped[name])
            made[dropping] = nn.Identity()
            former = copy.deepcopy(dropping)
            # In place it would change what the layer itself is to see.
            if hasattr(former, "inplace"):
                setattr(former, "inplace", False)  # noqa: B010
        try:
            made[layer] = ConvertedLayer(layer, method, former)
        except ValueError as error:
            raise ValueError(f"'{name}': {error}") from None
    return made


def _with(network: nn.Module, made: dict[nn.Module, nn.Module]) -> nn.Module:
    """The network with modules in place of others, wherever they are used."""
    for layer, new in made.items():
        new.train(layer.training)
    for name, module in list(network.named_modules(remove_duplicate=False)):
        if isinstance(module, nn.TransformerEncoderLayer) and any(
            part in made for part in module.modules()
        ):
            # In evaluation it would read the weights of its layers in place of
            # calling them; torch leaves that for other non-linearities.
            module.activation_relu_or_gelu = 0
        if name and module in made:
            network.set_submodule(name, made[module])
    return made.get(network, network)


def _check_equal(
    network: nn.Module, converted: nn.Module, example: Tensor | Sequence | None
) -> None:
    """Refuse to leave out what more than binary layers read, such as an addition."""
    with full_precision(converted):
        ours = probe(converted, example).output
    theirs = probe(network, example).output
    pairs = zip(_tensors(ours), _tensors(theirs), strict=True)
    if not all(
        torch.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True) for a, b in pairs
    ):
        raise ValueError(
            "relu='drop' would change the full-precision network: a non-linearity in "
            "front of a binary layer is read by something else, too, such as a "
            "shortcut; use relu='keep'"
        )


def _tensors(output: Any) -> list[Tensor]:
    """All tensors in an output, whatever holds them."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, (tuple, list)):
        return [tensor for part in output for tensor in _tensors(part)]
    return []
