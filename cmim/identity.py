"""What a trained network answers: written into its files, compared when they are read.

Networks of equal layers can differ in what their outputs mean: the order of classes,
the range of the depth, how pictures become inputs. Weights do not tell.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from mmseg.registry import MODELS

from cmim.data_parts import named_classes

# Normalised pictures as heads, classes and range must be: the first thing to differ is
# what the message names.
_NAMES = dict(
    heads="heads", classes="classes in the order of the outputs", pictures="pictures"
)


def identity_of(config: Any) -> dict[str, Any]:
    """Heads, class names and normalisation of pictures that a config describes.

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
        (['a', 'b'], {'one': {'type': '', 'num_classes': 2, 'depth_range': None}})
    """
    model = config["model"]
    model = model.get("model", model)
    heads = model.get("heads")
    heads = heads or {"one": model.get("decode_head") or model.get("head") or {}}
    found = {name: _head(head) for name, head in heads.items()}
    counted = any(head["num_classes"] is not None for head in found.values())
    prepare = model.get("data_preprocessor") or {}
    pictures = {
        key: [float(value) for value in prepare.get(key) or ()]
        for key in ("mean", "std")
    }
    swapped = bool(prepare.get("bgr_to_rgb") or prepare.get("rgb_to_bgr"))
    return dict(
        heads=found,
        classes=_classes(config) if counted else None,
        pictures=dict(**pictures, swapped=swapped),
    )


def _component(kind: Any, registry: Any) -> Any:
    return registry.get(kind) if isinstance(kind, str) and kind else kind


def _head(head: Any) -> dict[str, Any]:
    kind = _component(head.get("type"), MODELS)
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
    for loader in ("test_dataloader", "val_dataloader", "train_dataloader"):
        named = named_classes(config, loader)
        if named:
            return next(iter(named.values()))
    return None


def check_identity(
    own: dict[str, Any], saved: dict[str, Any] | None, path: str | Path
) -> None:
    """Refuse a file whose outputs or inputs mean something else.

    Args:
        own: :func:`identity_of` the config in use.
        saved: That of the file; None of files from before it was written passes, and
            so does a part that one of both does not know.
        path: The file, for the message.

    Raises:
        ValueError: Naming the first difference.

    Examples:
        >>> check_identity(dict(classes=["a", "b"]), dict(classes=["b", "a"]), "x.pth")
        Traceback (most recent call last):
        ValueError: 'x.pth' is of another task: its classes in the order of the ...
    """
    for key, name in _NAMES.items():
        ours, theirs = own.get(key), (saved or {}).get(key)
        if ours is None or theirs is None or ours == theirs:
            continue
        raise ValueError(
            f"'{path}' is of another task: its {name} {_differing(theirs, ours)}, and "
            f"this config has {_differing(ours, theirs)}; use the config it was "
            "trained with"
        )


def _differing(values: Any, others: Any) -> str:
    """The part of values that others have not, in a few words."""
    if isinstance(values, dict) and isinstance(others, dict):
        parts = {k: v for k, v in values.items() if others.get(k) != v}
        return str(parts or values)
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
    return str(values)
