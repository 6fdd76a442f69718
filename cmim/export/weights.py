"""Write a trained network as a checkpoint without latent weights and optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import torch
from mmengine.config import Config

from cmim.checkpoint import read_checkpoint
from cmim.deploy.slim_checkpoint import binary_layers, save_slim
from cmim.engine.config import ConfigError
from cmim.engine.config_place import named_part
from cmim.engine.evaluate import load_task_model
from cmim.hooks.gradual_binarization import RECORD, not_binary_yet
from cmim.identity import identity_of
from cmim.layers.stored_weight import StoredWeight


class WeightFigures(TypedDict):
    """Figures of such a file.

    Attributes:
        out: The file.
        bytes: Its size.
        checkpoint_bytes: Size of the checkpoint it was made of.
        latent_bytes: Size of the network's weights as float32.
        binary_layers: How many layers have binary weights.
        binary_weights: How many weights they have.
        bits: How many bits these take.
    """

    out: str
    bytes: int
    checkpoint_bytes: int
    latent_bytes: int
    binary_layers: int
    binary_weights: int
    bits: int


@named_part
def export_weights(config: Config, checkpoint: str, out: str | Path) -> WeightFigures:
    """Write signs and scales only, read them back and compare every weight.

    Args:
        config: A config of this project.
        checkpoint: Trained with it.
        out: The ``.pth`` file to write.

    Raises:
        ConfigError: ``out`` has another ending, the checkpoint is such a file already,
            or its training was not binary yet.
        ExportError: A layer that bits do not give back, by name.
    """
    target = Path(out)
    if target.suffix != ".pth":
        raise ConfigError(
            f"--weights-only writes a checkpoint, and --out {out} is none: name a file "
            "that ends with .pth"
        )
    model = load_task_model(config, checkpoint).cpu()
    layers = binary_layers(model)
    if any(isinstance(x.weight_binarizer, StoredWeight) for x in layers.values()):
        raise ConfigError(f"'{checkpoint}' holds signs and scales only already")
    _check_binary(checkpoint)
    save_slim(model, target, identity_of(config))
    compare_weights(model, load_task_model(config, str(target)).cpu())
    single = {id(layer): layer for layer in layers.values()}.values()
    counts = [layer.weight.numel() for layer in single]
    codes = [len(layer.code_terms()) for layer in single]
    return WeightFigures(
        out=str(out),
        bytes=target.stat().st_size,
        checkpoint_bytes=Path(checkpoint).stat().st_size,
        latent_bytes=sum(v.numel() * 4 for v in model.state_dict().values()),
        binary_layers=len(counts),
        binary_weights=sum(counts),
        bits=sum(n * t for n, t in zip(counts, codes, strict=True)),
    )


@torch.no_grad()
def compare_weights(model: torch.nn.Module, other: torch.nn.Module) -> None:
    """Refuse a network whose weights are not those of the first, to the last bit.

    Args:
        model: In evaluation mode.
        other: Read from what was written of it.

    Raises:
        RuntimeError: A layer that differs, by name.
    """
    again, state = binary_layers(other), other.state_dict()
    for name, layer in binary_layers(model).items():
        if not torch.equal(layer.binary_weight(), again[name].binary_weight()):
            raise RuntimeError(f"the binary weights of {name} were not read back")
    latent = {f"{name}.weight" for name in again}
    for key, value in model.state_dict().items():
        if key in state and key not in latent and not torch.equal(value, state[key]):
            raise RuntimeError(f"{key} was not read back")


def format_weights(figures: WeightFigures) -> str:
    """Sizes in one line, and what the file is good for."""
    before, after = figures["checkpoint_bytes"], figures["bytes"]
    return (
        f"{figures['out']}: {after / 1e6:.3f} MB, checkpoint {before / 1e6:.3f} MB "
        f"({before / after:.1f} x), weights as float32 "
        f"{figures['latent_bytes'] / 1e6:.3f} MB; {figures['binary_layers']} binary "
        f"layers of {figures['binary_weights']} weights in {figures['bits']} bits\n"
        "It can be tested, predicted with and exported; nothing is trained from it or "
        "goes on with it."
    )


def _check_binary(checkpoint: str) -> None:
    """A file of weights only could not say that its training was not binary yet."""
    meta = read_checkpoint(checkpoint).get("meta")
    said = not_binary_yet(meta.get(RECORD) if isinstance(meta, dict) else None, "")
    if said:
        raise ConfigError(f"'{checkpoint}'{said}; train it to its end first")
