"""Where the full-precision and the binary activations are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import Tensor, nn

from cmim.functional.layout import as_maps
from cmim.methods import outermost


@dataclass(frozen=True)
class Tap:
    """What one tapped module saw in the last forward pass.

    Args:
        full_precision: ``a_F``, the module's input, maps ``(N, C, H, W)``, tokens
            ``(N, L, C)`` or vectors ``(N, C)``.
        binary: ``a_B``, the module's output, ``(N, C', H', W')`` or likewise. For a
            module that is no activation binarizer (a whole stage) this is a real
            feature map.
    """

    full_precision: Tensor
    binary: Tensor

    def on_grid(self, image: tuple[int, int]) -> Tap:
        """The same with tokens as maps, for a picture of this height and width."""
        return Tap(
            tokens_as_maps(self.full_precision, image),
            tokens_as_maps(self.binary, image),
        )


def tokens_as_maps(x: Tensor, image: tuple[int, int]) -> Tensor:
    """Tokens ``(N, L, C)`` as maps; anything else as it is, vectors too."""
    return as_maps(x, image) if isinstance(x, Tensor) and x.dim() == 3 else x


def binarizer_names(model: nn.Module) -> list[str]:
    """Names of all activation binarizers of a model, in the order of its modules.

    One inside another (what an addition wraps) is a part of it and not listed.

    Examples:
        >>> from cmim.methods import get_method
        >>> net = nn.Sequential(nn.Identity(), get_method("bireal").activation(4))
        >>> binarizer_names(net)
        ['1']
    """
    return list(outermost(model))


class ActivationTaps:
    """Reads (input, output) of chosen modules of any model by forward hooks.

    The model itself is not edited; outside :meth:`recording` no hook is installed, so
    inference, export and pickling see the untouched model.

    Args:
        model: Any module.
        patterns: Glob patterns of module names, e.g. ``'backbone.layer4.*.binarize2'``.

    Raises:
        ValueError: A pattern matches no module.

    Examples:
        >>> import torch
        >>> net = nn.Sequential(nn.Identity(), nn.ReLU())
        >>> taps = ActivationTaps(net, ["1"])
        >>> with taps.recording() as seen:
        ...     _ = net(torch.tensor([-1.0, 2.0]))
        >>> seen["1"].full_precision.tolist(), seen["1"].binary.tolist()
        ([-1.0, 2.0], [0.0, 2.0])
    """

    def __init__(self, model: nn.Module, patterns: Sequence[str]) -> None:
        modules = dict(model.named_modules())
        self.modules: dict[str, nn.Module] = {}
        for pattern in patterns:
            matched = [n for n in modules if n and fnmatchcase(n, pattern)]
            if not matched:
                known = [n for n in modules if n.count(".") <= 1 and n]
                raise ValueError(
                    f"taps pattern {pattern!r} matches no module of the model; modules "
                    f"are named like {', '.join(known[:12])}"
                )
            self.modules.update((n, modules[n]) for n in matched)

    @property
    def names(self) -> list[str]:
        """Names of the tapped modules, shallow to deep as the patterns list them."""
        return list(self.modules)

    @contextmanager
    def recording(self) -> Iterator[dict[str, Tap]]:
        """Collect the taps of the forward passes inside the block."""
        seen: dict[str, Tap] = {}

        def record(name: str):
            def hook(module: nn.Module, args: tuple, output: Tensor) -> None:
                seen[name] = Tap(args[0], output)

            return hook

        handles = [
            module.register_forward_hook(record(name))
            for name, module in self.modules.items()
        ]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()
