"""What the layers of a network do in one forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
        alone: The source was its only argument, and given by position.
        plain: Of a layer of :data:`LAYERS`, that it gave what torch's layer gives.
    """

    name: str
    module: nn.Module
    source: Any
    output: Any
    alone: bool = True
    plain: bool = True


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
        def hook(module: nn.Module, args: tuple, named: dict, output: Any) -> None:
            given = [*args, *named.values()]
            source = given[0] if given else None
            alone = len(args) == 1 and not named
            # At once: what works in place may write over both behind the layer.
            plain = _is_plain(module, source, output)
            seen.calls.append(Call(name, module, source, output, alone, plain))

        return hook

    handles = [
        module.register_forward_hook(note(name), with_kwargs=True)
        for name, module in network.named_modules()
    ]
    try:
        with evaluation(network):
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
    return seen


@contextmanager
def evaluation(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, while the block runs.

    Args:
        network: Each of its modules gets its own mode back.
    """
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


def _is_plain(module: Any, source: Any, output: Any) -> bool:
    """Whether a layer computes what torch's layer does, by class or by its output."""
    kind = next((k for k in LAYERS if isinstance(module, k)), None)
    # Our own hook is one; another one may change the output.
    if kind is None or (type(module) is kind and len(module._forward_hooks) == 1):
        return True
    if not isinstance(source, Tensor) or not isinstance(output, Tensor):
        return False
    try:
        return torch.equal(kind.forward(module, source), output)
    except RuntimeError:
        return False
