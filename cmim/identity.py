"""What a trained network answers: written into its files, compared when they are read.

Networks of equal layers can differ in what their outputs mean: the order of classes,
the range of the depth, how pictures become inputs. Weights do not tell.

Who reads a file for its answers compares all of it. Who reads features compares the
pictures, and of the heads what it reads (:func:`part_read`). Who only starts training
from a file (``init_from``, ``load_from``, ``init_cfg``) compares nothing: what it will
answer is learned afterwards.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from cmim.data_parts import named_classes
from cmim.task_model import component, describe, heads_answering

# Normalised pictures as heads, classes and range must be: the first thing to differ is
# what the message names.
_NAMES = dict(
    heads="heads", classes="classes in the order of the outputs", pictures="pictures"
)
_ADVICE = "use the config it was trained with, and the same --cfg-options"


def identity_of(config: Any) -> dict[str, Any]:
    """Heads, class names and normalisation of pictures that a config describes.

    The depth range is the head's, as ``--cfg-options`` or else the head's default leave
    it: outputs are mapped to it. That of the evaluator only chooses what is measured,
    and is no part of the network.

    Args:
        config: A config of this project, or a dictionary like it.

    Returns:
        Plain values: ``heads`` (type, number of classes and depth range in metres of
        each task), ``classes`` (None where no head has any or no data set names them)
        and ``pictures`` (mean, std and whether channels are swapped).

    Examples:
        >>> found = identity_of(dict(model=dict(decode_head=dict(num_classes=2)),
        ...     test_dataloader=dict(dataset=dict(metainfo=dict(classes=["a", "b"])))))
        >>> found["classes"], found["heads"]
        (['a', 'b'], {'seg': {'type': '', 'num_classes': 2, 'depth_range': None}})
    """
    model = config["model"]
    model = model.get("model", model)
    described = describe(model)
    found = {name: _head(head.part) for name, head in described.heads.items()}
    prepare = model.get("data_preprocessor") or {}
    pictures: dict[str, Any] = dict(mean=[], std=[]) | described.normalisation
    swapped = bool(prepare.get("bgr_to_rgb") or prepare.get("rgb_to_bgr"))
    return dict(
        heads=found,
        classes=_classes(config) if _have_classes(found) else None,
        pictures=dict(**pictures, swapped=swapped),
    )


def part_read(identity: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The part of an identity that matters to who reads these modules of a network.

    Args:
        identity: As :func:`identity_of` gives it.
        names: Modules of the task model, such as ``decode_head.conv_seg``.

    Returns:
        ``pictures``; where modules give what a head answers, ``heads`` with that,
        whatever their type, and ``classes`` if these have any. Features have no
        classes, those within a head neither.

    Examples:
        >>> whole = dict(heads=dict(classes=dict(type="A", num_classes=2)),
        ...     classes=["a", "b"], pictures={})
        >>> part_read(whole, ["backbone.conv1"])
        {'pictures': {}}
        >>> part_read(whole, ["head.fc"])["heads"]
        {'classes': {'num_classes': 2, 'depth_range': None}}
    """
    found = dict(pictures=identity.get("pictures"))
    tasks = heads_answering(names)
    known = identity.get("heads")
    known = known if isinstance(known, dict) else {}
    heads = {
        task: {key: head.get(key) for key in ("num_classes", "depth_range")}
        for task, head in known.items()
        if (task in tasks or (len(known) == 1 and "" in tasks))
        and isinstance(head, dict)
    }
    if heads:
        found["heads"] = heads
    if _have_classes(heads) and "classes" in identity:
        found["classes"] = identity["classes"]
    return found


def _have_classes(heads: Any) -> bool:
    return any(head.get("num_classes") is not None for head in heads.values())


def _head(head: Any) -> dict[str, Any]:
    kind = component(head.get("type"))
    limits = head.get("depth_range")
    if limits is None and callable(kind):
        known = inspect.signature(kind).parameters.get("depth_range")
        limits = None if known is None else known.default
    return dict(
        type=getattr(kind, "__name__", ""),
        num_classes=head.get("num_classes"),
        depth_range=None if limits is None else [float(value) for value in limits],
    )


def _classes(config: Any) -> list[str] | None:
    """Names in the order of the outputs, which is that of the training data."""
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        named = named_classes(config, loader)
        if named:
            return next(iter(named.values()))
    return None


def check_identity(
    own: dict[str, Any],
    saved: dict[str, Any] | None,
    path: str | Path,
    advice: str = _ADVICE,
) -> None:
    """Refuse a file whose outputs or inputs mean something else.

    What the file or the config does not say cannot be compared, and a line says that;
    so files from before it was written are read.

    Args:
        own: :func:`identity_of` the config in use, or the part that matters.
        saved: That of the file, or None.
        path: The file, for the message.
        advice: What to do, for the message.

    Raises:
        ValueError: Naming the first difference.

    Examples:
        >>> check_identity(dict(classes=["a", "b"]), dict(classes=["b", "a"]), "x.pth")
        Traceback (most recent call last):
        ValueError: 'x.pth' is of another task: its classes in the order of the ...
    """
    if saved is None and own:
        _note(
            f"'{path}' does not say of which task it is, so that is not compared with "
            "the config; files of this version say it"
        )
        return
    for key in (key for key in _NAMES if key in own):
        ours, theirs = own[key], (saved or {}).get(key)
        if key == "heads":
            theirs = _with_task(theirs, ours)
        if ours is None or theirs is None:
            if key != "classes" or _have_classes(own.get("heads") or {"": {}}):
                _note(_not_compared(_NAMES[key], path, in_file=theirs is not None))
        elif ours != theirs:
            raise ValueError(
                f"'{path}' is of another task: its {_NAMES[key]} "
                f"{_differing(theirs, ours)}, and this config has "
                f"{_differing(ours, theirs)}; {advice}"
            )


def _with_task(saved: Any, own: Any) -> Any:
    """Heads of a file; an only one has no task's name in files of version 0.1."""
    if isinstance(saved, dict) and list(saved) == ["one"] and own and len(own) == 1:
        return {next(iter(own)): saved["one"]}
    return saved


def _not_compared(name: str, path: str | Path, in_file: bool) -> str:
    who = "the config does not name them" if in_file else "the file does not name them"
    return (
        f"the {name} of '{path}' are not compared: {who} (in a config, metainfo of the "
        "data sets does)"
    )


@cache
def _note(text: str) -> None:
    """Said once, however often a file is read."""
    print_log(text, logger="current", level=logging.WARNING)


def _differing(values: Any, others: Any) -> str:
    """The part of values that others have not, in a few words."""
    if isinstance(values, list) and isinstance(others, list):
        place = next(
            (
                k
                for k, pair in enumerate(zip(values, others, strict=False))
                if pair[0] != pair[1]
            ),
            min(len(values), len(others)),
        )
        shown = values[place] if place < len(values) else "no more"
        return f"({len(values)}) have {shown!r} at place {place}"
    return str(_only(values, others) or values)


def _only(values: Any, others: Any) -> Any:
    """Entries of nested dictionaries that differ."""
    if not (isinstance(values, dict) and isinstance(others, dict)):
        return values
    return {k: _only(v, others.get(k)) for k, v in values.items() if others.get(k) != v}
