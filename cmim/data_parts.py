"""The data sets that a loader reads, one by one, whatever joins or wraps them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mmseg.registry import DATASETS


def data_parts(config: Any, loader: str) -> list[tuple[str, Any]]:
    """Options of every data set of a loader, and where they stand in the config.

    Args:
        config: A config of this project, or a dictionary like it.
        loader: ``train_dataloader``, ``val_dataloader`` or ``test_dataloader``.

    Returns:
        Dotted places and options: one pair for a plain data set, one for each that a
        ``JoinedDataset`` or a wrapper of mmengine holds, none without the loader.

    Examples:
        >>> joined = dict(datasets=[dict(split="a"), dict(dataset=dict(split="b"))])
        >>> for place, options in data_parts(dict(test_dataloader=dict(dataset=joined)),
        ...     "test_dataloader"): print(place, options)
        test_dataloader.dataset.datasets.0 {'split': 'a'}
        test_dataloader.dataset.datasets.1.dataset {'split': 'b'}
    """
    options = (config.get(loader) or {}).get("dataset")
    return [] if options is None else list(_below(options, f"{loader}.dataset"))


def _below(options: Any, place: str) -> Iterator[tuple[str, Any]]:
    inner = _held(options)
    if not inner:
        yield place, options
    for name, part in inner:
        yield from _below(part, f"{place}.{name}")


def _held(options: Any) -> list[tuple[str, Any]]:
    """The data sets that one holds, by the names of their places in it."""
    several, one = options.get("datasets"), options.get("dataset")
    if isinstance(several, (list, tuple)):
        return [(f"datasets.{k}", part) for k, part in enumerate(several)]
    return [("dataset", one)] if hasattr(one, "get") else []


def kind_of(options: Any) -> Any:
    """The class of a data set that options ask for; itself where it is no name."""
    kind = options.get("type")
    return DATASETS.get(kind) if isinstance(kind, str) and kind else kind


def named_size(part: Any, *keys: str) -> Any:
    """The size in pixels that a data set's pipeline names last, or None.

    Args:
        part: Options of a data set, from :func:`data_parts`.
        keys: Options of transforms that are sizes: ``'size'``, ``'shorter'``,
            ``'crop_size'``.

    Examples:
        >>> steps = [dict(type="Load"), dict(type="Resize", size=(48, 64))]
        >>> named_size(dict(pipeline=steps), "size", "shorter")
        (48, 64)
    """
    steps = reversed(part.get("pipeline", ()))
    found = (step[key] for step in steps for key in keys if step.get(key))
    return next(found, None)


def with_parts(options: Any, change: Callable[[Any], Any]) -> dict[str, Any]:
    """Options of a data set in which every part is another one; the rest is kept.

    Args:
        options: Of a data set, plain or made of others.
        change: Gives the new options of a part.

    Examples:
        >>> with_parts(dict(datasets=[dict(a=1), dict(a=2)]), lambda p: p["a"])
        {'datasets': [1, 2]}
    """
    held = _held(options)
    if not held:
        return change(options)
    made = [with_parts(part, change) for _, part in held]
    own = dict(dataset=made[0]) if held[0][0] == "dataset" else dict(datasets=made)
    return {**options, **own}


def built_parts(dataset: Any) -> list[Any]:
    """The data sets that one which was built consists of; itself if it is plain.

    Examples:
        >>> from torch.utils.data import ConcatDataset
        >>> built_parts(ConcatDataset([[1], ConcatDataset([[2, 3]])]))
        [[1], [2, 3]]
    """
    inner = getattr(dataset, "datasets", None)
    if inner is None and getattr(dataset, "dataset", None) is not None:
        inner = [dataset.dataset]
    return [dataset] if inner is None else [p for d in inner for p in built_parts(d)]


def named_classes(config: Any, loader: str) -> dict[str, list[str]]:
    """Class names that the data sets of a loader have, as far as the config tells.

    Args:
        config: A config of this project, or a dictionary like it.
        loader: As for :func:`data_parts`.

    Returns:
        Names in their order by the place of the data set. Those that come with the
        kind of data set do not count where its labels are not read.

    Examples:
        >>> parts = [dict(metainfo=dict(classes=["a"])), dict(depth="{name}.png")]
        >>> config = dict(test_dataloader=dict(dataset=dict(datasets=parts)))
        >>> named_classes(config, "test_dataloader")
        {'test_dataloader.dataset.datasets.0': ['a']}
    """
    found = {place: _classes(part) for place, part in data_parts(config, loader)}
    return {place: classes for place, classes in found.items() if classes}


def _classes(options: Any) -> list[str]:
    classes = (options.get("metainfo") or {}).get("classes") or options.get("classes")
    if classes is None and reads_labels(options.get("pipeline")):
        classes = getattr(kind_of(options), "METAINFO", {}).get("classes")
    # A word is the name of a file with the classes, which only the data set reads.
    return [] if isinstance(classes, str) else [str(name) for name in classes or ()]


def classes_read(dataset: Any) -> list[str]:
    """Class names of a data set that was built.

    As for :func:`named_classes`, those that come with the kind of data set do not count
    where its labels are not read.

    Examples:
        >>> class Rooms: metainfo = METAINFO = dict(classes=("bed", "wall"))
        >>> rooms = Rooms()
        >>> classes_read(rooms)
        ['bed', 'wall']
        >>> class Pipeline: transforms = [dict(type="LoadFrame", labels=False)]
        >>> rooms.pipeline = Pipeline()
        >>> classes_read(rooms)
        []
    """
    classes = (getattr(dataset, "metainfo", None) or {}).get("classes")
    found = [str(name) for name in classes or ()]
    own = [str(name) for name in getattr(dataset, "METAINFO", {}).get("classes") or ()]
    steps = getattr(getattr(dataset, "pipeline", None), "transforms", ())
    return found if found != own or reads_labels(steps) else []


def reads_labels(pipeline: Any) -> bool:
    """Whether a pipeline, of options or built, does not leave the labels out.

    Examples:
        >>> reads_labels([dict(type="LoadFrame", labels=False)]), reads_labels([])
        (False, True)
    """
    first = pipeline[0] if pipeline else {}
    named = first.get("labels", True) if hasattr(first, "get") else None
    return bool(getattr(first, "labels", True) if named is None else named)
