"""Non-linearities in front of binary layers, which sees only their sign."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from cmim.convert.probe import Probe

# Element by element, and of one sign for half of their input or nearly so.
ONE_SIDED = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.GELU, nn.Hardsigmoid)


def in_front_of(seen: Probe, layers: Iterable[str]) -> dict[str, str]:
    """Non-linearities whose every output only some of the layers read.

    One that is called as a function is not seen, and one whose output something else
    may read, such as a shortcut, stays.

    Args:
        seen: One pass of the network.
        layers: Names of layers that become binary.

    Returns:
        Name of the non-linearity by the name of the layer behind it.
    """
    chosen = set(layers)
    readers: dict[int, list[tuple[int, str]]] = {}
    for time, call in enumerate(seen.calls):
        # Containers hand their input on to a layer inside.
        if not list(call.module.children()):
            readers.setdefault(id(call.source), []).append((time, call.name))
    found: dict[str, list[str]] = {}
    spared: set[str] = set()
    for time, call in enumerate(seen.calls):
        if isinstance(call.module, ONE_SIDED):
            # One that works in place gives the tensor that it reads.
            readings = readers.get(id(call.output), [])
            behind = [name for moment, name in readings if moment > time]
            found.setdefault(call.name, []).extend(behind)
            if not behind or not chosen.issuperset(behind) or len(behind) > 1:
                spared.add(call.name)
    return {
        layer: name
        for name, behind in found.items()
        if name not in spared
        for layer in behind
    }
