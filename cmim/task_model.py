"""What a task model is: encoder, heads by task, normalisation, whoever built it.

A model with one head (mmseg's segmentors, a classifier) is a joint model of one task.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mmseg.registry import MODELS
from torch import nn

from cmim.task import Task, get_task, known_tasks

# Where models of one task hold their head, and what it solves if it does not say so:
# mmseg's heads and those of classifiers do not.
_SINGLE = {"decode_head": "seg", "head": "classes"}
_PLACE = re.compile(r"(?:decode_head|head|heads\.([^.]+))(?:\.([^.]+))?").fullmatch


@dataclass(frozen=True)
class Head:
    """A head of a task model.

    Args:
        task: Name of its task.
        place: Name of the module, ``'decode_head'`` or ``'heads.depth'``.
        part: The module, or its config.
    """

    task: str
    place: str
    part: Any

    @property
    def kind(self) -> Task:
        """The task itself."""
        return get_task(self.task)

    @property
    def answer(self) -> str:
        """Name of the module that gives what the head answers."""
        return f"{self.place}.{self.kind.answer}"


@dataclass(frozen=True)
class TaskModel:
    """A task model, or its config, described.

    Args:
        encoder: The encoder.
        heads: By name of their task, in the model's order.
        joint: Whether the model names its heads by task.
        bottleneck: What stands between encoder and heads, or None.
        normalisation: How images become inputs: ``mean`` and ``std`` of bands of 0 to
            255, as far as they are known.
    """

    encoder: Any
    heads: dict[str, Head]
    joint: bool
    bottleneck: Any
    normalisation: dict[str, list[float]]

    @property
    def per_image(self) -> bool:
        """Whether all it does is to give each image one label."""
        return not self.joint and any(not h.kind.channels for h in self.heads.values())

    @property
    def segmentor(self) -> bool:
        """Whether it is called as mmseg's, which can see pictures in windows."""
        return any(h.place.startswith("decode_head") for h in self.heads.values())


def describe(model: Any) -> TaskModel:
    """Describe a task model or its config.

    Args:
        model: A module or config: one of mmseg's (``decode_head``), a classifier
            (``head``) or a joint model (``heads``), without the CMIM wrapper.

    Raises:
        ValueError: A list of heads that is empty.

    Examples:
        >>> model = dict(backbone={}, heads=dict(seg={}, depth={}))
        >>> [head.place for head in describe(model).heads.values()]
        ['heads.seg', 'heads.depth']
        >>> describe(dict(backbone={}, decode_head={})).heads["seg"].place
        'decode_head'
    """
    prepare = _part(model, "data_preprocessor")
    return TaskModel(
        encoder=_part(model, "backbone"),
        heads={head.task: head for head in _heads(model)},
        joint=bool(_part(model, "heads")),
        bottleneck=_part(model, "bottleneck"),
        normalisation={
            name: values
            for name in ("mean", "std")
            if (values := _numbers(_part(prepare, name)))
        },
    )


def heads_answering(names: Iterable[str]) -> set[str]:
    """Tasks that modules give the answers of: the heads themselves or last layers.

    Args:
        names: Of modules. Those within a head give features, not answers.

    Returns:
        Names of tasks; an empty one stands for the only task of a model.

    Examples:
        >>> heads_answering(["heads.depth", "head.fc", "decode_head.aspp"]) == {
        ...     "depth", ""}
        True
    """
    last = {None, *(task.answer for task in known_tasks().values())}
    found = (_PLACE(name) for name in names)
    return {match[1] or "" for match in found if match and match[2] in last}


def component(kind: Any) -> Any:
    """What the ``type`` of a config stands for; itself where it is no name."""
    return MODELS.get(kind) if isinstance(kind, str) and kind else kind


def _heads(model: Any) -> Iterator[Head]:
    for task, part in (_part(model, "heads") or {}).items():
        yield Head(task, f"heads.{task}", part)
    for place, task in _SINGLE.items():
        part = _part(model, place)
        if isinstance(part, (list, tuple, nn.ModuleList)):
            if not len(part):
                raise ValueError(
                    f"{place} of the model is an empty list: give it a head, or in a "
                    "cascade one head a stage, of which the last answers"
                )
            # Of mmseg's cascades the last head answers.
            place, part = f"{place}.{len(part) - 1}", part[-1]
        if part is not None:
            kind = part if isinstance(part, nn.Module) else component(part.get("type"))
            yield Head(getattr(kind, "task", task), place, part)


def _part(node: Any, name: str) -> Any:
    if hasattr(node, "get"):
        return node.get(name)
    return getattr(node, name, None)


def _numbers(values: Any) -> list[float]:
    if hasattr(values, "flatten"):
        return values.flatten().tolist()
    return [float(value) for value in values or ()]
