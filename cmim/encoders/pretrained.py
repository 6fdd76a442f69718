"""Load weights of a plain network into the latent weights of a binary one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from cmim.checkpoint import CheckpointError, read_checkpoint

# What stands in front of an encoder's names, from the outside: in networks saved from
# torch's wrappers for several GPUs, and in a task model of this project.
PREFIXES = ("module.", "backbone.")
_COUNTER = ".num_batches_tracked"
# Classifiers of torchvision's networks, which are behind the encoder.
_CLASSIFIERS = ("fc.", "classifier.")
# Stems of the encoders that torchvision has.
_FIRST = ("conv1.weight", "features.0.0.weight")
RESNETS = "torchvision's ResNet and MobileNetV2 state dicts"
_STEMS = {3: "cifar", 7: "imagenet"}


@runtime_checkable
class NamesWeights(Protocol):
    """An encoder whose weights have other names in files of other libraries."""

    def rename_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state dict of a file under the encoder's names."""


def load_latent_weights(encoder: nn.Module, path: str | Path) -> None:
    """Load a state dict by name into an encoder.

    Accepts torchvision's ResNet and MobileNetV2 state dicts (also with a ``module.``
    prefix), what an encoder's own ``rename_weights`` knows, and this project's
    checkpoints of any task (keys with a ``backbone.`` prefix, or of the encoder alone),
    trained in full precision or with any method. A classifier (``fc``,
    ``classifier``), a task's head and the state of losses are ignored, and so are 1x1
    shortcuts where the encoder's shortcuts have no weights; parameters that only the
    method adds are taken where the file has them and keep their initial values
    elsewhere; everything else must match: weights, biases and
    batch-norm statistics. Classes and pictures of the file are not compared: training
    goes on from here, on others.

    Args:
        encoder: The encoder to fill, in place.
        path: File saved with ``torch.save``; read with ``weights_only=True``.

    Raises:
        CheckpointError: No such file, or one that lacks a weight of some layer, has it
            in another shape (another stem is said), or has layers that the encoder
            lacks (a deeper net). The encoder is then as it was.
    """
    state = _without_prefix(read_checkpoint(path)["state_dict"])
    if isinstance(encoder, NamesWeights):
        state = encoder.rename_weights(state)
    own = encoder.state_dict()
    missing = [key for key in _required(own) if key not in state]
    other = [k for k in _required(own) if k in state and state[k].shape != own[k].shape]
    # A method's bypass: its shortcuts have no weights that the file's could fill.
    without_weights = not any(".downsample." in key for key in own)
    superfluous = [
        key
        for key in _required(state)
        if key not in own
        and not key.startswith(_CLASSIFIERS)
        and not (without_weights and ".downsample." in key)
    ]
    if missing or other or superfluous:
        raise CheckpointError(
            f"init_from '{path}' does not fit this encoder, a "
            f"{type(encoder).__name__}: {_difference(missing, superfluous, other)}; "
            + _advice(state, own, getattr(encoder, "accepted_weights", RESNETS))
        )
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    encoder.load_state_dict(fitting, strict=False)


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if any(key.startswith(prefix) for key in state):
            state = {
                key.removeprefix(prefix): value
                for key, value in state.items()
                if key.startswith(prefix)
            }
    return state


def _required(state: dict[str, Tensor]) -> list[str]:
    """Names that must fit: not the method's own, nor batch-norm's counters."""
    parts = ("binarize", "nonlinearity", "weight_binarizer", ".scale", "normalize")
    return [
        key
        for key in state
        if not key.endswith(_COUNTER) and not any(part in key for part in parts)
    ]


def _difference(missing: list[str], superfluous: list[str], other: list[str]) -> str:
    found = [
        f"{len(keys)} {what} (first '{keys[0]}')"
        for what, keys in (
            ("missing", missing),
            ("superfluous", superfluous),
            ("of another shape", other),
        )
        if keys
    ]
    return ", ".join(found)


def _advice(state: dict[str, Tensor], own: dict[str, Tensor], accepted: str) -> str:
    """What to do, by what the first convolutions look like."""
    theirs, ours = _first(state), _first(own)
    if theirs is None or ours is None or theirs.dim() != 4:
        return (
            f"accepted are {accepted} and checkpoints of this project; this file has "
            f"{', '.join(list(state)[:3]) or 'no weights'}, ..."
        )
    if theirs.shape[2:] != ours.shape[2:]:
        sizes = [tuple(x.shape[2:]) for x in (theirs, ours)]
        kinds = [_STEMS.get(size[0], "unknown") for size in sizes]
        return (
            f"its stem is {_times(sizes[0])} ({kinds[0]}) and the encoder's "
            f"{_times(sizes[1])} ({kinds[1]}): use weights trained with "
            f"stem='{kinds[1]}', or set backbone.stem={kinds[0]}"
        )
    if theirs.shape[1] != ours.shape[1]:
        return (
            f"its stem reads {theirs.shape[1]} bands and the encoder's {ours.shape[1]} "
            "(in_channels): weights of other bands cannot be guessed; use weights "
            "trained with the same, or leave init_from out"
        )
    return (
        f"it has {theirs.shape[0]} channels behind the stem and the encoder "
        f"{ours.shape[0]}: use weights of the same "
        + ("width_multiplier" if _FIRST[1] in own else "depth and base_channels")
    )


def _first(state: dict[str, Tensor]) -> Tensor | None:
    """Weights of the first convolution."""
    return next((state[name] for name in _FIRST if name in state), None)


def _times(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
