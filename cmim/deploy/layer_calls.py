"""What each packed layer of a network is given, and what it makes of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.deploy.packed_conv import PackedConv


@torch.no_grad()
def layer_calls(
    core: nn.Module, example: Tensor
) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor | tuple[Tensor, ...]]:
    """Run a network once, and note the calls of its packed layers.

    Args:
        core: Made by :func:`cmim.deploy.packed_conv.pack_network`.
        example: An input of it.

    Returns:
        Input, float32, and output of each packed layer by its name, in the order of
        the calls; and what the network gives.
    """
    calls: dict[str, tuple[Tensor, Tensor]] = {}
    handles = [
        module.register_forward_hook(
            lambda _, args, out, name=name: calls.__setitem__(
                name, (args[0].float(), out)
            )
        )
        for name, module in core.named_modules()
        if isinstance(module, PackedConv)
    ]
    try:
        return calls, core(example)
    finally:
        for handle in handles:
            handle.remove()
