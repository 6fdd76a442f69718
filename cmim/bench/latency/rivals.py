"""What a user would pick instead: small full-precision networks, which then get 8 bits.

A rival solves the config's task, at its input size, with random weights or a
checkpoint. It is a config of the project's or the user's, or one of two networks made
for the config's own heads: MobileNetV2 and a narrow ResNet-18, at output stride 16,
with a light head that joins strides 8 and 16.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cmim.bench.latency.figures import RecordedFigures
from cmim.encoders import BinarizedEncoder, BinaryResNet
from cmim.engine.config import ConfigError, load_config, task_model_config
from cmim.engine.config_names import find_config
from cmim.identity import identity_of
from cmim.json_file import read_json
from cmim.task_model import component, describe

DEFAULT = ("mobilenet_v2", "resnet18-48")
_RESNET = re.compile(r"resnet18-(\d+)").fullmatch
# As in configs/_base_/mobilenet_v2_small.py, whose checkpoints load.
_MOBILENET = dict(
    type=BinarizedEncoder,
    network="torchvision/mobilenet_v2",
    method="fp",
    output_stride=16,
    stages=("features.6", "features.17"),
)
# What evaluations say besides metrics.
NO_METRICS = ("images", "seconds", "images_per_second")
_LIGHT = dict(channels=128, dilations=(1, 2))


@dataclass(frozen=True)
class Rival:
    """A network to compare with.

    Attributes:
        name: As it was asked for; of a config its file's name.
        model: Config of its task model.
        identity: :func:`cmim.identity.identity_of` its config.
        checkpoint: Its weights; random ones when None.
    """

    name: str
    model: dict
    identity: dict[str, Any]
    checkpoint: str | None = None


def read_rivals(
    config: Config, names: Sequence[str], checkpoints: Mapping[str, str] | None = None
) -> list[Rival]:
    """The rivals of a config.

    Args:
        config: The config whose task they solve.
        names: ``mobilenet_v2``, ``resnet18-WIDTH`` (channels of the first stage) or
            configs.
        checkpoints: Their weights by name.

    Raises:
        ConfigError: An unknown name, one that is there twice, a config of another task,
            or a checkpoint of none of them.
    """
    given = dict(checkpoints or {})
    found: list[Rival] = []
    for name in names:
        rival = _read(config, name, given)
        if any(rival.name == other.name for other in found):
            raise ConfigError(f"the rival '{rival.name}' is named twice")
        found.append(rival)
    known = [rival.name for rival in found]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ConfigError(
            f"--checkpoints names '{unknown[0]}', which is none of the rivals; choose "
            f"from {', '.join(known) or 'those that --rivals names'}"
        )
    return found


def _read(config: Config, name: str, checkpoints: Mapping[str, str]) -> Rival:
    width = _RESNET(name)
    if name == "mobilenet_v2":
        model = _with_encoder(config, name, _MOBILENET, (0, 1), (32, 320))
    elif width and int(width[1]) > 0:
        base = int(width[1])
        encoder = dict(
            type=BinaryResNet,
            depth=18,
            method="fp",
            base_channels=base,
            output_stride=16,
            shortcuts="per_block",
        )
        model = _with_encoder(config, name, encoder, (1, 3), (2 * base, 8 * base))
    else:
        return _read_config(config, name, checkpoints)
    return Rival(name, model, identity_of(config), checkpoints.get(name))


def _with_encoder(
    config: Config,
    name: str,
    encoder: dict,
    levels: tuple[int, ...],
    channels: tuple[int, ...],
) -> dict:
    """The config's task model with another encoder and light full-precision heads."""
    model = copy.deepcopy(task_model_config(config))
    bands = model["backbone"].get("in_channels", 3)
    model["backbone"] = {**encoder, "in_channels": bands}
    model.pop("auxiliary_head", None)
    for head in describe(model).heads.values():
        options = inspect.signature(component(head.part["type"])).parameters
        if not {"in_index", "dilations"} <= set(options):
            raise ConfigError(
                f"the rival '{name}' needs heads that join levels of the encoder, and "
                f"{head.place} does not: name a config of this task in place of it"
            )
        for key in ("method", "binary_projection"):
            head.part.pop(key, None)
        head.part.update(_LIGHT, in_index=levels, in_channels=channels)
    return model


def _read_config(config: Config, name: str, checkpoints: Mapping[str, str]) -> Rival:
    if not Path(name).suffix and "/" not in name and not find_config(name).is_file():
        raise ConfigError(
            f"the rival '{name}' is unknown; name mobilenet_v2, resnet18-WIDTH such as "
            "resnet18-48, or a config"
        )
    theirs = load_config(name)
    called = Path(name).stem
    model = task_model_config(theirs)
    for key in ("pretrained", "init_from"):
        model["backbone"].pop(key, None)
    own, other = identity_of(config), identity_of(theirs)
    if _answers(own) != _answers(other):
        raise ConfigError(
            f"the rival '{called}' is of another task: it answers {_said(other)}, and "
            f"this config {_said(own)}"
        )
    return Rival(called, model, other, checkpoints.get(called))


def _answers(identity: dict[str, Any]) -> dict[str, Any]:
    """What heads answer, whatever their type; and the classes."""
    heads = {
        task: {key: value for key, value in head.items() if key != "type"}
        for task, head in identity["heads"].items()
    }
    return dict(heads=heads, classes=identity["classes"])


def _said(identity: dict[str, Any]) -> str:
    return ", ".join(
        f"{task} ({head['num_classes']} classes)" if head["num_classes"] else task
        for task, head in identity["heads"].items()
    )


def recorded_figures(checkpoint: str) -> RecordedFigures | None:
    """The test figures that the run beside a checkpoint has left.

    Args:
        checkpoint: ``WORK_DIR/last.pth``; the figures are those of ``metrics.json``.

    Returns:
        None where there are none, or no numbers.
    """
    path = Path(checkpoint).parent / "metrics.json"
    if not path.is_file():
        return None
    found = read_json(path).get("test")
    numbers = {
        name: float(value)
        for name, value in (found if isinstance(found, dict) else {}).items()
        if isinstance(value, int | float) and name not in NO_METRICS
    }
    return RecordedFigures(metrics=numbers, file=str(path)) if numbers else None
