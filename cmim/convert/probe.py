"""What the layers of a network do in one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from cmim.stages import probe_image

# Layers that may become binary, and torch's forward pass of each.
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


@dataclass
class Call:
    """One call of a module.

    Attributes:
        name: Of the module.
        module: The module.
        source: Its first argument.
        output: What it gave.
    """

    name: str
    module: nn.Module
    source: Any
    output: Any


@dataclass
class Probe:
    """All calls of one forward pass, in the order in which they ended.

    Attributes:
        calls: Of all modules.
        output: Of the network.
    """

    calls: list[Call] = field(default_factory=list)
    output: Any = None

    def layers(self) -> dict[str, Call]:
        """First calls of the layers that multiply, by name, in the order of use."""
        found: dict[str, Call] = {}
        for call in self.calls:
            if isinstance(call.module, LAYERS):
                found.setdefault(call.name, call)
        return found


@torch.no_grad()
def probe(network: nn.Module, example: Tensor | Sequence | None = None) -> Probe:
    """Run a network once, in evaluation mode, and note all calls.

    The outputs stay in memory as long as the probe does.

    Args:
        network: Left as it was.
        example: Its one argument; noise of the size of :func:`probe_image` when None.

    Raises:
        ValueError: The network does not take such an input.

    Examples:
        >>> seen = probe(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()))
        >>> [call.name for call in seen.calls]
        ['0', '1', '']
    """
    if example is None:
        picture = probe_image(network)
        # Drawn apart: random numbers of a run stay what they are.
        noise = torch.rand(picture.shape, generator=torch.Generator().manual_seed(0))
        example = noise.to(picture)
    seen = Probe()

    def note(name: str):
        def hook(module: nn.Module, args: tuple, output: Any) -> None:
            seen.calls.append(Call(name, module, args[0] if args else None, output))

        return hook

    handles = [m.register_forward_hook(note(n)) for n, m in network.named_modules()]
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        seen.output = network(example)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        given = getattr(example, "shape", type(example).__name__)
        raise ValueError(
            f"a {type(network).__name__} does not run on an example of {given}: "
            f"{str(error).strip().splitlines()[-1] if str(error) else error!r}; give "
            "example=, an input that it takes"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
    return seen
