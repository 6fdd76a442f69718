"""Weights as other libraries save them, for a network that was made binary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log
from torch import Tensor, nn

from cmim.checkpoint import CheckpointError, read_checkpoint
from cmim.convert import ConvertedLayer, UnpackedAttention

# What stands in front of a network's names, from the outside.
PREFIXES = ("module.", "backbone.", "network.")
_COUNTER = "num_batches_tracked"


def load_foreign_weights(
    network: nn.Module, stages: Sequence[str], path: str | Path
) -> None:
    """Load a file into the latent weights of a network, by name.

    Accepts the state dicts that torchvision, timm and mmseg save for the network, and
    checkpoints of this project that hold it, in full precision or binary. Names may
    differ in where they have dots (timm's feature extractors). What the method adds
    keeps its initial values unless the file has it. Tensors of the file outside of the
    encoder, such as a classifier's, are left out and listed.

    Args:
        network: That of a :class:`cmim.encoders.BinarizedEncoder`.
        stages: Names of its stages, which the file must fill exactly.
        path: The file; nothing in it is executed.

    Raises:
        CheckpointError: No such file; a weight is missing or has another shape; the
            file has further layers inside of a stage. The network is then as it was.
    """
    own = network.state_dict()
    wanted = {_plain(key, network): key for key in own}
    flat = {_flat(name): name for name in wanted}
    state = _inside(read_checkpoint(path)["state_dict"], wanted, flat, network)
    found: dict[str, Tensor] = {}
    unused = []
    for key, value in state.items():
        name = _match(key, wanted, flat)
        if name is None:
            unused.append(key)
        else:
            found[wanted[name]] = value
    missing = [
        name
        for name, key in wanted.items()
        if key not in found and not _optional(name, key, network)
    ]
    other = [key for key, value in found.items() if value.shape != own[key].shape]
    inside = tuple(f"{stage}." for stage in stages)
    deeper = [key for key in unused if key.startswith(inside) and not _extra(key)]
    if missing or other or deeper:
        raise CheckpointError(
            f"'{path}' does not fit this network, a {type(network).__name__}: "
            + "; ".join(
                f"{len(keys)} {what} (first '{keys[0]}')"
                for what, keys in (
                    ("missing", missing),
                    ("of another shape", other),
                    ("superfluous", deeper),
                )
                if keys
            )
            + "; use weights of the same network"
        )
    network.load_state_dict({**own, **found})
    left = f"; left out: {', '.join(unused[:8])}" if unused else ""
    more = f" and {len(unused) - 8} more" if len(unused) > 8 else ""
    print_log(
        f"{len(found)} of {len(state)} tensors of {path} loaded{left}{more}", "current"
    )


def _plain(key: str, network: nn.Module) -> str:
    """The name that a tensor has in the full-precision network."""
    above, _, last = key.rpartition(".")
    if last == "weight" and above.endswith(".conv"):
        layer = above.removesuffix(".conv")
        if isinstance(network.get_submodule(layer), ConvertedLayer):
            return f"{layer}.weight"
    return key


def _inside(
    state: dict[str, Tensor],
    wanted: dict[str, str],
    flat: dict[str, str],
    network: nn.Module,
) -> dict[str, Tensor]:
    """The state without what stands in front of the network's names and parts."""
    for prefix in PREFIXES:
        # A network may have a part of that name itself.
        if any(_match(key, wanted, flat) for key in state):
            break
        if any(key.startswith(prefix) for key in state):
            state = {
                key.removeprefix(prefix): value
                for key, value in state.items()
                if key.startswith(prefix)
            }
    return _unpacked(state, network)


def _unpacked(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Weights of torch's attention for the linear layers that it was made of."""
    made: dict[str, Tensor] = {}
    theirs: set[str] = set()
    for name, module in network.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(module, UnpackedAttention):
            for part in ("weight", "bias"):
                joint, out = f"{prefix}in_proj_{part}", f"{prefix}out_proj.{part}"
                if joint in state and state[joint].shape[:1] == (3 * module.embed_dim,):
                    for word, value in zip("qkv", state[joint].chunk(3), strict=True):
                        made[f"{prefix}{word}.{part}"] = value
                    theirs.add(joint)
                if out in state:
                    made[f"{prefix}out.{part}"] = state[out]
                    theirs.add(out)
    return {k: v for k, v in state.items() if k not in theirs} | made


def _flat(name: str) -> str:
    return name.replace(".", "_")


def _match(key: str, wanted: dict[str, str], flat: dict[str, str]) -> str | None:
    if key in wanted:
        return key
    # A binary checkpoint for a full-precision network.
    plain = key.replace(".conv.weight", ".weight")
    if plain in wanted:
        return plain
    return flat.get(_flat(key))


def _optional(name: str, key: str, network: nn.Module) -> bool:
    """Whether a tensor is the method's own, or a counter."""
    if name.endswith(_COUNTER) or name != key:
        return name.endswith(_COUNTER)
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        above = network.get_submodule(".".join(parts[:end]))
        if isinstance(above, ConvertedLayer):
            return parts[end:] != ["conv", "weight"]
    return False


def _extra(key: str) -> bool:
    """Whether a tensor of the file is what a method added there."""
    own = ("binarize", "gain", "placed", "scale", "bias", "weight_binarizer")
    return any(part in own for part in key.split(".")) or key.endswith(_COUNTER)
