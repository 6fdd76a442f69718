"""The classes of a config's head and of its data must be the same ones."""

from __future__ import annotations

from typing import Any

from cmim.engine.config_error import ConfigError
from cmim.engine.loader_options import LOADERS


def check_classes(config: Any, task: dict) -> None:
    """Refuse heads and data sets that do not speak of the same classes.

    Args:
        config: Gives the loaders.
        task: The task model without the CMIM wrapper.

    Raises:
        ConfigError: Loaders that name other classes or another order, a head with
            another number of classes than the data, or a segmentation of one class.
    """
    named = {
        loader: classes for loader in LOADERS if (classes := _classes(config, loader))
    }
    for loader, classes in named.items():
        first = next(iter(named))
        if classes != named[first]:
            raise ConfigError(
                f"{loader} names the classes {', '.join(classes)}, and {first} "
                f"{', '.join(named[first])}: numbers would mean other classes in the "
                "one than in the other; give both the same names in the same order"
            )
    heads = {name: task.get(name) for name in ("decode_head", "head")}
    heads["heads.seg"] = (task.get("heads") or {}).get("seg")
    # What the config's file calls the task model.
    model = config.get("model") or {}
    place = "task_model" if "task_model" in config else "model"
    place += ".model" if place == "model" and "model" in model else ""
    for part, head in heads.items():
        count = (head or {}).get("num_classes")
        for loader, classes in named.items() if count is not None else ():
            if len(classes) != count:
                raise ConfigError(
                    f"{loader} names {len(classes)} classes, but the model's {part} "
                    f"has num_classes {count}; both must agree: "
                    f"{place}.{part}.update(num_classes={len(classes)})"
                )
        if count == 1 and part != "head":
            raise ConfigError(
                f"the model's {part} has one class, which every pixel is predicted to "
                "be: all figures would be 100 %. Make what is beside it a class, too: "
                "classes=['background', 'fg'], label_values=[0, 255] in the data sets "
                "(the values of the files, without them among void_values) and "
                f"{place}.{part}.update(num_classes=2)"
            )


def _classes(config: Any, loader: str) -> list[str]:
    """Names that a loader's data set gives in the config; none if it gives none."""
    dataset = (config.get(loader) or {}).get("dataset") or {}
    classes = (dataset.get("metainfo") or {}).get("classes") or dataset.get("classes")
    return [str(name) for name in classes or ()]
