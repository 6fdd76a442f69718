"""Which layers of a network become binary, and why the others do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import Tensor, nn

from cmim.convert.probe import LAYERS, Call, Probe

# Parts of a name that mark the shortcut of a residual block.
SHORTCUTS = ("downsample", "shortcut", "skip")


def choose_layers(
    network: nn.Module, seen: Probe, keep: Sequence[str], binarize: Sequence[str]
) -> dict[str, str | None]:
    """For each layer that multiplies None if it becomes binary, else why it does not.

    Layers stay full precision by default where little is to be gained or much is lost:
    the first one, the last one, 1x1 convolutions of shortcuts, depth-wise convolutions,
    patch embeddings, and layers that work on one place (squeeze and excitation).

    Args:
        network: The network.
        seen: One pass of it.
        keep: Glob patterns of names that stay full precision.
        binarize: Glob patterns of names that become binary whatever the defaults say.

    Raises:
        ValueError: A pattern that matches no layer, or a layer that two patterns claim.
    """
    names = [n for n, m in network.named_modules() if isinstance(m, LAYERS)]
    kept, asked = (_matching(names, p) for p in (keep, binarize))
    both = sorted(kept & asked)
    if both:
        raise ValueError(f"keep and binarize both match {', '.join(both[:3])}")
    calls = seen.layers()
    order = list(calls)
    reasons: dict[str, str | None] = {}
    for name in [*order, *(n for n in names if n not in calls)]:
        reason = "keep" if name in kept else _cannot(calls.get(name))
        if reason is None and name not in asked:
            reason = _default(calls[name], order, seen)
        reasons[name] = reason
    return reasons


def _matching(names: Sequence[str], patterns: Sequence[str]) -> set[str]:
    found = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        matched = {
            n
            for n in names
            if fnmatchcase(n, pattern) or fnmatchcase(n, f"{pattern}.*")
        }
        if not matched:
            raise ValueError(
                f"pattern {pattern!r} matches no convolution or linear layer; they are "
                f"named like {', '.join(names[:12])}"
            )
        found |= matched
    return found


def _cannot(call: Call | None) -> str | None:
    """Why a layer cannot be made binary at all."""
    if call is None:
        return "never called by itself"
    module = call.module
    if getattr(module, "padding_mode", "zeros") != "zeros":
        return f"padding {module.padding_mode}"
    if isinstance(getattr(module, "padding", 0), str):
        return f"padding {module.padding!r}"
    if isinstance(module, nn.ConvTranspose2d) and module.groups != 1:
        return "transposed with groups"
    if not call.alone:
        return "called with more than its input"
    if not call.plain:
        return f"a {type(module).__name__} is more than a plain layer"
    return None


def _default(call: Call, order: list[str], seen: Probe) -> str | None:
    """Why a layer stays full precision unless it is asked for."""
    name, module = call.name, call.module
    if name == order[0]:
        return "first layer"
    if name == order[-1] and _gives_the_answer(call, seen):
        return "last layer"
    if isinstance(module, nn.Linear):
        return None
    assert isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
    if module.groups > 1 and module.groups == module.in_channels:
        return "depth-wise"
    if isinstance(module, nn.ConvTranspose2d):
        return None
    return _default_of_conv(name, module, call.output)


def _default_of_conv(name: str, module: nn.Conv2d, output: Tensor) -> str | None:
    point = module.kernel_size == (1, 1)
    strided = max(module.stride) > 1
    if point and (strided or any(word in name for word in SHORTCUTS)):
        return "1x1 shortcut"
    if strided and module.kernel_size == module.stride:
        return "patch embedding"
    if output.shape[2:].numel() == 1:
        return "works on one place"
    return None


def _gives_the_answer(call: Call, seen: Probe) -> bool:
    """Whether a layer is a classifier: its output is the network's, or a vector.

    An output that no further module sees is the network's, too, if in another size.
    """
    last = next(other for other in reversed(seen.calls) if _is_leaf(other))
    if last is call:
        return True
    output = seen.output
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, (tuple, list)):
        return any(call.output is part for part in output)
    if call.output is output:
        return True
    return isinstance(call.module, nn.Linear) and call.output.dim() == 2


def _is_leaf(call: Call) -> bool:
    return not list(call.module.children())
