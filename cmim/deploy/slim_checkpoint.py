"""Checkpoints of a trained network alone: one bit a binary weight, and no optimizer.

A ``torch.save`` file with ``state_dict`` (everything but the latent weights of binary
layers and what only their binarizers read), ``binary_weights`` (for each binary layer
``bits``, ``scales`` and, where rounding asks for them, ``values``, see
:class:`cmim.layers.stored_weight.StoredBits`), ``structure``, ``identity`` and
``sha256``, a digest of all of that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from cmim.checkpoint import (
    BINARY_WEIGHTS,
    CheckpointError,
    check_structure,
    load_strictly,
    load_task_weights,
    read_checkpoint,
    structure,
)
from cmim.deploy.binary_layer import ExportError
from cmim.digest import sha256_of
from cmim.finite import named_tensors, what_is_not_finite
from cmim.layers import BinaryWeightLayer
from cmim.layers.stored_weight import StoredBits, store_bits, use_stored_bits
from cmim.whole_output import whole_output

_TENSORS = ("state_dict", BINARY_WEIGHTS)
_ADVICE = "use another copy, or export it again with --weights-only"


def binary_layers(model: nn.Module) -> dict[str, BinaryWeightLayer]:
    """Layers with binary weights by name; one that is shared has several names."""
    modules = model.named_modules(remove_duplicate=False)
    return {n: m for n, m in modules if isinstance(m, BinaryWeightLayer)}


def slim_content(model: nn.Module, identity: dict[str, Any]) -> dict[str, Any]:
    """What the file of a task model holds.

    Args:
        model: In evaluation mode.
        identity: :func:`cmim.identity.identity_of` its config.

    Raises:
        ExportError: A layer that bits do not give back to the last bit, by name.
    """
    layers, stored = binary_layers(model), {}
    for name, layer in layers.items():
        try:
            stored[name] = _as_tensors(store_bits(layer))
        except ValueError as error:
            raise ExportError(f"{name}: {error}; keep the whole checkpoint") from None
    content = dict(
        state_dict={
            key: value.clone()
            for key, value in model.state_dict().items()
            if not _is_latent(key, layers)
        },
        structure=structure(model),
        identity=identity,
        **{BINARY_WEIGHTS: stored},
    )
    return {**content, "sha256": digest_of(content)}


def _is_latent(key: str, layers: dict[str, BinaryWeightLayer]) -> bool:
    """Whether a name of the state belongs to latent weights or their binarizer."""
    name, _, last = key.rpartition(".")
    inside = key.split(".weight_binarizer.")[0]
    return (last == "weight" and name in layers) or (inside != key and inside in layers)


def _as_tensors(stored: StoredBits) -> dict[str, Tensor]:
    found = dict(bits=stored.bits, scales=stored.scales, values=stored.values)
    return {key: value.cpu() for key, value in found.items() if value is not None}


def digest_of(content: dict[str, Any]) -> str:
    """SHA-256 of a file's tensors, names, structure and identity."""
    words = {key: content.get(key) for key in ("structure", "identity")}
    parts = [json.dumps(words, sort_keys=True).encode()]
    tensors = named_tensors({key: content.get(key) for key in _TENSORS})
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        parts.append(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        plain = tensor.detach().cpu().contiguous().flatten()
        parts.append(plain.view(torch.uint8).numpy().tobytes())
    return sha256_of(*parts)


def save_slim(model: nn.Module, path: str | Path, identity: dict[str, Any]) -> None:
    """Write a task model's weights, binary ones as bits.

    Args:
        model: In evaluation mode.
        path: The ``.pth`` file.
        identity: :func:`cmim.identity.identity_of` its config.

    Raises:
        ExportError: A layer that bits do not give back, by name.
    """
    content = slim_content(model, identity)
    with whole_output(path) as place:
        torch.save(content, place)


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load a checkpoint of training, or one of :func:`save_slim`, strictly.

    Args:
        model: A task model without the CMIM wrapper. Of the latter kind of file its
            binary layers get :class:`cmim.layers.stored_weight.StoredWeight`.
        path: The file.

    Returns:
        What the file holds.

    Raises:
        CheckpointError: The file cannot be read or is of another model.
    """
    content = read_checkpoint(path, latent=False)
    if BINARY_WEIGHTS not in content:
        return load_task_weights(model, path, content)
    _check_whole(content, path)
    if not content[BINARY_WEIGHTS]:
        # A network in full precision.
        return load_task_weights(model, path, content)
    check_structure(model, content, path)
    layers, stored = binary_layers(model), content[BINARY_WEIGHTS]
    for name in (*layers, *stored):
        if name not in layers or name not in stored:
            where = "this config" if name in layers else "the file"
            raise CheckpointError(
                f"checkpoint '{path}' is of another model: '{name}' is a binary layer "
                f"of {where} alone; use the config it was trained with"
            )
        use_stored_bits(layers[name], _from_tensors(layers[name], stored[name], path))
    own = model.state_dict()
    weights = {f"{name}.weight": own[f"{name}.weight"] for name in layers}
    load_strictly(model, {**content["state_dict"], **weights}, path)
    return content


def _check_whole(content: dict[str, Any], path: str | Path) -> None:
    """Refuse what is not as it was written."""
    if not isinstance(content[BINARY_WEIGHTS], dict):
        raise CheckpointError(f"checkpoint '{path}' has no table of bits; {_ADVICE}")
    if content.get("sha256") != digest_of(content):
        raise CheckpointError(
            f"checkpoint '{path}' is not as it was written, by its digest: damaged or "
            f"changed; {_ADVICE}"
        )
    if found := what_is_not_finite(content[BINARY_WEIGHTS]):
        raise CheckpointError(f"checkpoint '{path}' holds {found}; {_ADVICE}")


def _from_tensors(
    layer: BinaryWeightLayer, stored: Any, path: str | Path
) -> StoredBits:
    """The bits of a layer, if they are as many as it has weights."""
    o, i, kh, kw = layer.filters().shape
    found = stored if isinstance(stored, dict) else {}
    bits, scales, values = (found.get(key) for key in ("bits", "scales", "values"))
    count = len(bits) if isinstance(bits, Tensor) and bits.dim() == 2 else 0
    if (
        count
        and _is_table(bits, torch.uint8, (count,), -(-o * i * kh * kw // 8))
        and _is_table(scales, torch.float32, (count, count + 1), o)
        and (values is None or _is_table(values, torch.float32, (1, o), 2**count))
    ):
        return StoredBits((o, i, kh, kw), bits, scales, values)
    raise CheckpointError(
        f"checkpoint '{path}' is of another model: a layer of {o}x{i}x{kh}x{kw} "
        "weights has bits or scales of another number; use the config it was trained "
        "with"
    )


def _is_table(
    values: Any, kind: torch.dtype, rows: tuple[int, ...], columns: int
) -> TypeGuard[Tensor]:
    return (
        isinstance(values, Tensor)
        and values.dtype is kind
        and values.dim() == 2
        and values.shape[0] in rows
        and values.shape[1] == columns
    )
