"""A network of the search: what differs from the config that it starts from."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from mmengine.config import Config
from mmseg.registry import MODELS

from cmim.encoders.encoder import BinaryEncoder
from cmim.engine.config import ConfigError, task_model_config
from cmim.task_model import describe


@dataclass(frozen=True)
class Design:
    """What a network of the space is made of.

    Attributes:
        stem: Of the encoder; None leaves the config's.
        width: Channels of the first stage, ``base_channels``.
        output_stride: Input pixels per feature pixel of the last stage.
        head: ``channels`` of each head.
        real_stages: Stages that stay full precision, from 0.
    """

    stem: str | None
    width: int
    output_stride: int
    head: int
    real_stages: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """For tables.

        Examples:
            >>> Design("pair", 48, 16, 64, (0,)).name
            'pair 48 os16 head64 real0'
        """
        real = "".join(map(str, self.real_stages))
        parts = [self.stem or "", str(self.width), f"os{self.output_stride}"]
        parts += [f"head{self.head}", f"real{real}" if real else ""]
        return " ".join(filter(None, parts))

    def as_record(self) -> dict[str, Any]:
        """Its values, for JSON."""
        return {**asdict(self), "real_stages": list(self.real_stages)}


@dataclass(frozen=True)
class Space:
    """All designs are each value of one with each of the others."""

    stems: Sequence[str | None]
    widths: Sequence[int]
    output_strides: Sequence[int]
    heads: Sequence[int]
    real_stages: Sequence[tuple[int, ...]]

    def __iter__(self) -> Iterator[Design]:
        values = (self.stems, self.widths, self.output_strides, self.heads)
        return (Design(*point) for point in product(*values, self.real_stages))


def designed(config: Config, design: Design) -> dict[str, Any]:
    """The config of a task model with a design in place of its own.

    Heads read the stages that they read, with the channels that these have now.

    Args:
        config: Its encoder is one of this project.
        design: What to change.

    Raises:
        ConfigError: The encoder, or a head, does not have what the design changes.
    """
    model = task_model_config(copy.deepcopy(config))
    encoder = model["backbone"]
    changes: dict[str, Any] = dict(
        base_channels=design.width, output_stride=design.output_stride
    )
    if design.stem is not None:
        changes["stem"] = design.stem
    if design.real_stages:
        changes["real_stages"] = design.real_stages
    encoder.update(changes, init_from=None)
    try:
        built = MODELS.build(encoder)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"no {getattr(encoder['type'], '__name__', encoder['type'])} can be "
            f"'{design.name}': {error}"
        ) from None
    if not isinstance(built, BinaryEncoder):
        raise ConfigError(
            f"the search changes encoders of this project, and backbone is a "
            f"{type(built).__name__}: start from a config such as "
            "configs/nyud_joint_bireal_fast_small.py"
        )
    returned = [built.stages[i].channels for i in built.out_indices]
    for head in describe(model).heads.values():
        _fit_head(head.part, returned, design.head)
    return model


def _fit_head(head: dict[str, Any], returned: Sequence[int], channels: int) -> None:
    if "channels" not in head:
        kind = getattr(head["type"], "__name__", head["type"])
        raise ConfigError(
            f"the search changes 'channels' of each head, and a {kind} has none: "
            "start from a config of a dense task"
        )
    index = head.get("in_index", -1)
    single = isinstance(index, int)
    head["in_channels"] = (
        returned[index] if single else tuple(returned[i] for i in index)
    )
    head["channels"] = channels
