"""The classes of a config's head and of its data must be the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cmim.data_parts import classes_read, named_classes
from cmim.engine.config_error import ConfigError
from cmim.engine.loader_options import LOADERS
from cmim.task_model import describe


def check_classes(config: Any, task: dict) -> None:
    """Refuse heads and data sets that do not speak of the same classes.

    Args:
        config: Gives the loaders.
        task: The task model without the CMIM wrapper.

    Raises:
        ConfigError: Data sets that name other classes or another order, a head with
            another number of classes than the data, or a segmentation of one class.
    """
    # A plain data set is told by its loader, a part of a joined one by its place.
    named = {
        loader if place == f"{loader}.dataset" else place: classes
        for loader in LOADERS
        for place, classes in named_classes(config, loader).items()
    }
    _check_named(named, task, model_place(config))
    for part, count in class_counts(task).items():
        if count == 1 and not describe(task).per_image:
            raise ConfigError(
                f"the model's {part} has one class, which every pixel is predicted to "
                "be: all figures would be 100 %. Make what is beside it a class, too: "
                "classes=['background', 'fg'], label_values=[0, 255] in the data sets "
                "(the values of the files, without them among void_values) and "
                f"{model_place(config)}.{part}.update(num_classes=2)"
            )


def check_read_classes(datasets: Mapping[str, Any], task: Mapping[str, Any]) -> None:
    """The same of data sets that know their classes only from their files.

    Args:
        datasets: Data sets that were built, by the names of their loaders.
        task: The task model without the CMIM wrapper.

    Raises:
        ConfigError: As :func:`check_classes`.

    Examples:
        >>> class Pictures: metainfo = dict(classes=["cat", "dog"])
        >>> task = dict(head=dict(num_classes=3))
        >>> check_read_classes(dict(train_dataloader=Pictures()), task)
        Traceback (most recent call last):
        cmim.engine.config_error.ConfigError: train_dataloader names 2 classes, but ...
    """
    named = {place: classes_read(dataset) for place, dataset in datasets.items()}
    found = {place: classes for place, classes in named.items() if classes}
    _check_named(found, task)


def class_counts(task: Mapping[str, Any]) -> dict[str, int]:
    """Numbers of classes that heads have which predict the classes of the data.

    Args:
        task: The task model without the CMIM wrapper.

    Examples:
        >>> class_counts(dict(heads=dict(seg=dict(num_classes=3), depth={})))
        {'heads.seg': 3}
    """
    heads = [h for h in describe(task).heads.values() if h.kind.of_data_classes]
    counts = {head.place: head.part.get("num_classes") for head in heads}
    return {place: count for place, count in counts.items() if count is not None}


def model_place(config: Any) -> str:
    """What the config's file calls the task model.

    Examples:
        >>> model_place(dict(model=dict(model={})))
        'model.model'
    """
    if "task_model" in config:
        return "task_model"
    return "model.model" if "model" in (config.get("model") or {}) else "model"


def _check_named(
    named: Mapping[str, Sequence[str]],
    task: Mapping[str, Any],
    model: str = "task_model",
) -> None:
    """Compare the classes of each place with the heads, and with the first place."""
    for place, classes in named.items():
        for part, count in class_counts(task).items():
            if len(classes) != count:
                raise ConfigError(
                    f"{place} names {len(classes)} classes, but the model's {part} "
                    f"has num_classes {count}; both must agree: "
                    f"{model}.{part}.update(num_classes={len(classes)}), or name "
                    f"{count} classes there: metainfo=dict(classes=[...])"
                )
    for place, classes in named.items():
        first, others = next(iter(named.items()))
        if list(classes) != list(others):
            raise ConfigError(
                f"{place} names the classes {', '.join(classes)}, and {first} "
                f"{', '.join(others)}: numbers would mean other classes in the "
                "one than in the other; give both the same names in the same order, "
                "and label_values where files number otherwise"
            )
