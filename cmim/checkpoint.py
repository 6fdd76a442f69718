"""Reading checkpoints safely: tensors only, whole files only, the right model only.

A checkpoint is a ``torch.save`` file with ``state_dict`` (the task model's weights,
named the same with and without the CMIM wrapper, plus the loss state under
``contrast.`` and ``added_losses.``), ``structure`` (what its layers are, see
:func:`structure`), ``identity`` (see :mod:`cmim.identity`) and,
for resuming, ``optimizer``, ``param_schedulers``, ``message_hub`` and ``meta``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cmim.finite import is_finite, what_is_not_finite
from cmim.former_names import classifier_names, current_key
from cmim.task_model import describe
from cmim.torch_file import ArchiveError, is_address, load_torch_file

# State of the losses that the wrapper adds, beside that of the task model.
LOSS_PREFIXES = ("contrast.", "added_losses.")
# What a layer computes apart from its weights, where the class does not say it.
_CONV_OPTIONS = ("stride", "padding", "dilation", "groups")
# Part of a checkpoint that has bits in place of latent weights.
BINARY_WEIGHTS = "binary_weights"


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged, unsafe or of another model."""


def structure(model: nn.Module) -> dict[str, str]:
    """What the layers of a task model are, by name.

    A binary network and its full-precision twin have the same weight names and shapes;
    this tells them apart.

    Args:
        model: Task model, or the CMIM wrapper around it.

    Examples:
        >>> structure(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()))["0"]
        'Conv2d stride=(1, 1) padding=(0, 0) dilation=(1, 1) groups=1'
    """
    task_model = getattr(model, "model", model)
    layers = {}
    for name, module in task_model.named_modules():
        if name.startswith("data_preprocessor") or ".loss_decode" in name:
            continue
        words = [type(module).__name__]
        if isinstance(module, nn.Conv2d):
            words += [f"{key}={getattr(module, key)}" for key in _CONV_OPTIONS]
        elif type(module).__module__.startswith("cmim."):
            words.append(module.extra_repr())
        layers[name] = " ".join(words).strip()
    return layers


def check_structure(
    model: nn.Module, checkpoint: dict[str, Any], path: str | Path
) -> None:
    """Refuse a checkpoint whose layers are of another kind.

    Args:
        model: Task model, or the CMIM wrapper around it.
        checkpoint: As read; foreign ones without ``structure`` pass.
        path: Where it comes from, for the message.

    Raises:
        CheckpointError: Naming the first layer that differs.
    """
    saved = checkpoint.get("structure")
    own = structure(model)
    if saved is None or saved == own:
        return
    for name in (*own, *saved):
        ours, theirs = own.get(name, "missing"), saved.get(name, "missing")
        if ours != theirs and not _shares_statistics(ours, theirs):
            raise CheckpointError(
                f"checkpoint '{path}' is of another model: '{name}' is {theirs} there "
                f"and {ours} in this config; use the config it was trained with"
            )


def _shares_statistics(*layers: str) -> bool:
    """Whether these are a batch-norm and the same one shared by several GPUs."""
    kinds, _, options = zip(*(layer.partition(" ") for layer in layers), strict=True)
    plain = {"BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"}
    return "SyncBatchNorm" in kinds and {*kinds} <= plain and len({*options}) == 1


def read_checkpoint(path: str | Path, latent: bool = True) -> dict[str, Any]:
    """Read a checkpoint onto the CPU without executing anything in it.

    The file must be whole and no larger inside than it is, see
    :func:`cmim.torch_file.load_torch_file`.

    Args:
        path: File saved by training, or a bare state dict.
        latent: Refuse files of binary weights alone, which nothing trains from.

    Returns:
        Dictionary with at least ``state_dict``.

    Raises:
        CheckpointError: No such file, an address, a damaged, half-written or foreign
            file, one that holds more than tensors and plain values, or one with NaN or
            Inf.
    """
    if is_address(path):
        raise CheckpointError(
            f"checkpoint '{path}' is an address, and nothing is fetched unasked; "
            "download it, compare its SHA-256, and give the file's path"
        )
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"checkpoint '{path}' does not exist; training writes WORK_DIR/last.pth"
        )
    try:
        checkpoint = _with_state(load_torch_file(path), path)
    except ArchiveError as error:
        raise CheckpointError(f"checkpoint '{path}' {error}") from error
    if latent and checkpoint.get(BINARY_WEIGHTS):
        raise CheckpointError(
            f"checkpoint '{path}' holds signs and scales and no latent weights: it can "
            "be tested, predicted with and exported, and nothing is trained from it or "
            "goes on with it; use the checkpoint it was made of, WORK_DIR/last.pth"
        )
    states = [checkpoint["state_dict"], checkpoint.get("ema_state_dict")]
    for weights in (state for state in states if isinstance(state, dict)):
        for key in [k for k in weights if k != current_key(k)]:
            weights[current_key(key)] = weights.pop(key)
    for name in ("structure", "identity"):
        part = checkpoint.get(name)
        if not isinstance(part, (dict, type(None))):
            raise CheckpointError(
                f"checkpoint '{path}' is damaged: its '{name}' is a "
                f"{type(part).__name__}, expected a dictionary; use another copy"
            )
    check_finite(checkpoint, path)
    return checkpoint


def _with_state(checkpoint: Any, path: Path) -> dict[str, Any]:
    """What a file holds, as a dictionary with a ``state_dict`` of tensors."""
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f"checkpoint '{path}' holds a {type(checkpoint).__name__}, expected a "
            "dictionary with 'state_dict'"
        )
    if "state_dict" not in checkpoint:
        checkpoint = {"state_dict": checkpoint}
    state = checkpoint["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor)
        for key, value in state.items()
    ):
        raise CheckpointError(
            f"checkpoint '{path}' has no state dict, a dictionary of named tensors; "
            "save model.state_dict()"
        )
    return checkpoint


def check_finite(checkpoint: dict[str, Any], path: str | Path) -> None:
    """Refuse the checkpoint of a run that has diverged.

    Args:
        checkpoint: As read.
        path: Where it comes from, for the message.

    Raises:
        CheckpointError: A weight, an average of weights or the optimizer's state is
            NaN or Inf.
    """
    parts = ("state_dict", "ema_state_dict", "optimizer")
    found = what_is_not_finite({k: checkpoint[k] for k in parts if k in checkpoint})
    if found:
        raise CheckpointError(
            f"checkpoint '{path}' holds {found}: its run has diverged; use an earlier "
            "checkpoint or train again with a lower learning rate"
        )


def load_task_weights(
    model: nn.Module, path: str | Path, content: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Load the task model's weights strictly; the state of the loss is left out.

    Args:
        model: A task model without the CMIM wrapper.
        path: Checkpoint trained with or without the wrapper; for a classifier also a
            state dict of torchvision's ResNet.
        content: Of the file, where it was read already.

    Returns:
        The whole checkpoint, for its ``meta``.

    Raises:
        CheckpointError: The file cannot be read or is of another model; torchvision's
            weights for a network that is not torchvision's.
    """
    checkpoint = read_checkpoint(path) if content is None else content
    state = {
        key: value
        for key, value in checkpoint["state_dict"].items()
        if not key.startswith(LOSS_PREFIXES)
    }
    if describe(model).per_image:
        renamed = classifier_names(state)
        if renamed is not state:
            _check_plain(model, path)
        state = renamed
    load_strictly(model, state, path)
    check_structure(model, checkpoint, path)
    return checkpoint


def _check_plain(model: nn.Module, path: str | Path) -> None:
    """Refuse what has the names of torchvision's ResNet and computes something else."""
    for name, module in model.named_modules():
        conv = isinstance(module, nn.Conv2d) and type(module) is not nn.Conv2d
        if conv or getattr(module, "shortcuts", "per_block") != "per_block":
            raise CheckpointError(
                f"checkpoint '{path}' is of torchvision's ResNet, which is in full "
                f"precision and has one shortcut a block, and '{name}' is not: load it "
                "into a backbone of method='fp' and shortcuts='per_block' (as a "
                "teacher: model.teacher_model), or start from it by backbone.init_from"
            )


def load_strictly(model: nn.Module, state: dict[str, Tensor], path: str | Path) -> None:
    """``load_state_dict`` that says in one sentence how two models differ.

    Args:
        model: Module to fill.
        state: Its state dict.
        path: Where the state comes from, for the message.

    Raises:
        CheckpointError: Missing or unexpected names, other shapes, or numbers that
            the model's cannot be made of (whole, complex, too large, a variance below
            zero).

    Examples:
        >>> import torch
        >>> load_strictly(nn.Linear(2, 1), {"weight": torch.zeros(1, 3)}, "a.pth")
        Traceback (most recent call last):
        cmim.checkpoint.CheckpointError: checkpoint 'a.pth' is of another model: ...
    """
    own = model.state_dict()
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    other = [k for k, v in own.items() if k in state and state[k].shape != v.shape]
    if missing or unexpected or other:
        found = []
        for what, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", other),
        ):
            if keys:
                found.append(f"{len(keys)} {what} (first '{keys[0]}')")
        raise CheckpointError(
            f"checkpoint '{path}' is of another model: {', '.join(found)}; use the "
            "config it was trained with"
        )
    for name, values in own.items():
        _check_numbers(values, state[name], f"'{name}' in checkpoint '{path}'")
    model.load_state_dict(state)


def _check_numbers(own: Tensor, given: Tensor, name: str) -> None:
    """Refuse what copying would turn into other numbers without a word."""
    if given.is_meta:
        raise CheckpointError(f"{name} has a shape and no numbers; save real tensors")
    if (own.is_floating_point(), own.is_complex()) != (
        given.is_floating_point(),
        given.is_complex(),
    ):
        raise CheckpointError(
            f"{name} holds {given.dtype}, expected {own.dtype}: quantized or converted "
            "weights are other weights; use the checkpoint that training wrote"
        )
    if given.dtype != own.dtype and not is_finite(given.to(own.dtype)):
        raise CheckpointError(
            f"{name} holds numbers in {given.dtype} that {own.dtype} cannot hold; "
            "its run has diverged"
        )
    # Its root would be NaN, and the class of highest NaN is a plausible figure.
    if name.split("'")[1].endswith("running_var") and bool((given < 0).any()):
        raise CheckpointError(
            f"{name} is a variance below zero: the file is damaged; use another copy"
        )
