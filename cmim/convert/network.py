"""One line that makes a network binary."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cmim.convert.choose import choose_layers
from cmim.convert.converted import ConvertedLayer
from cmim.convert.place import full_precision, place_converted
from cmim.convert.probe import LAYERS, probe
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
        example: An input for the pass that shows which layers run; ``pictures``, or
            noise, when None.
        relu: ``'keep'``, or ``'drop'``: leave out non-linearities that one binary layer
            alone reads.

    Returns:
        The binary network, and a row for each layer, in the order of use.

    Raises:
        ValueError: A pattern that matches nothing, a network without a layer that can
            become binary, an example that it does not take, an unknown method;
            ``relu='drop'`` where a shortcut reads the non-linearity, too.

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
    chosen = as_method(method)
    seen = probe(network, pictures if example is None else example)
    reasons = choose_layers(network, seen, keep, binarize)
    binary = [name for name, reason in reasons.items() if reason is None]
    if not binary:
        kept = "; ".join(f"{n}: {r}" for n, r in list(reasons.items())[:5])
        raise ValueError(
            f"no layer of this {type(network).__name__} becomes binary "
            f"({kept or 'it has none'}): name some with binarize="
        )
    dropped = in_front_of(seen, binary) if relu == "drop" else {}
    converted = copy.deepcopy(network)
    formers = {k: copy.deepcopy(network.get_submodule(n)) for k, n in dropped.items()}
    rows = []
    for name, reason in reasons.items():
        layer = converted.get_submodule(name)
        assert isinstance(layer, LAYERS)
        became = ""
        if reason is None and chosen.is_binary:
            made = ConvertedLayer(layer, chosen, formers.get(name))
            made.train(layer.training)
            became = type(made.conv).__name__
            converted.set_submodule(name, made)
        shape = tuple(layer.weight.shape)
        why = "" if became else reason or f"method {chosen.name}"
        rows.append(ConvertedRow(name, type(layer).__name__, shape, became, why))
    if chosen.is_binary:
        for name in set(dropped.values()):
            converted.set_submodule(name, nn.Identity())
        if dropped:
            _check_equal(network, converted, pictures if example is None else example)
        if pictures is not None:
            place_converted(converted, lambda: converted(pictures))
    return converted, rows


def _check_equal(
    network: nn.Module, converted: nn.Module, example: Tensor | Sequence | None
) -> None:
    """Refuse to leave out what more than binary layers read, such as an addition."""
    with full_precision(converted):
        ours = probe(converted, example).output
    theirs = probe(network, example).output
    pairs = [(ours, theirs)] if isinstance(ours, Tensor) else zip(ours, theirs)  # noqa: B905
    if not all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in pairs):
        raise ValueError(
            "relu='drop' would change the full-precision network: a non-linearity in "
            "front of a binary layer is read by something else, too, such as a "
            "shortcut; use relu='keep'"
        )
