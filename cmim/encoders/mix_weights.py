"""Names of mmseg's MixVisionTransformer, as those of the binary one."""

from __future__ import annotations

from torch import Tensor

# Where a network of mmseg lies in a :class:`cmim.encoders.BinarizedEncoder`.
INSIDE = "network."
# Torch's attention keeps queries, keys and values in one matrix, in this order.
PACKED = ("attn.attn.in_proj_", ("q", "k", "v"))
# A part of a name, and what stands for it; the unit's bias is not its layer's.
UNITS = {
    "attn.attn.out_proj.": "attn.proj.",
    "attn.sr.": "attn.sr.",
    "ffn.layers.0.": "ffn.fc1.",
    "ffn.layers.4.": "ffn.fc2.",
}
PLAIN = {"ffn.layers.1.": "ffn.depthwise."}


def own_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of mmseg's network under the names of this project's.

    Names that are this project's already stay.

    Args:
        state: Of the encoder, names from ``layers.0`` on.

    Examples:
        >>> import torch
        >>> packed = torch.arange(6.0).reshape(6, 1)
        >>> found = own_names({"layers.0.1.0.attn.attn.in_proj_weight": packed})
        >>> [(name, value.flatten().tolist()) for name, value in found.items()][:2]
        [('layers.0.1.0.attn.q.layer.weight', [0.0, 1.0]),
         ('layers.0.1.0.attn.k.layer.weight', [2.0, 3.0])]
    """
    found = {}
    for key, value in state.items():
        name = key.removeprefix(INSIDE)
        part, parts = PACKED
        if part in name:
            above, _, kind = name.rpartition(part)
            for own, third in zip(parts, value.chunk(3), strict=True):
                found[f"{above}attn.{own}.{_in_unit(kind)}"] = third
        else:
            found[_renamed(name)] = value
    return found


def _renamed(name: str) -> str:
    for part, own in UNITS.items():
        above, found, kind = name.rpartition(part)
        if found and kind in ("weight", "bias"):
            return f"{above}{own}{_in_unit(kind)}"
    for part, own in PLAIN.items():
        name = name.replace(part, own)
    return name


def _in_unit(kind: str) -> str:
    return "layer.weight" if kind == "weight" else kind
