"""Parts of a config that only make sense together."""

from __future__ import annotations

import difflib

from mmengine.config import Config
from mmengine.registry import OPTIMIZERS

from cmim.engine.config import ConfigError

# As mmengine has them: all of a loop's parts, or none.
LOOPS = {
    "validation": ("val_dataloader", "val_cfg", "val_evaluator"),
    "the final test": ("test_dataloader", "test_cfg", "test_evaluator"),
}


def check_loops(config: Config) -> None:
    """Refuse a loop without one of its parts.

    Args:
        config: A config to train.

    Raises:
        ConfigError: Naming the parts that are missing.
    """
    for loop, names in LOOPS.items():
        missing = [name for name in names if config.get(name) is None]
        if missing and len(missing) < len(names):
            there = [name for name in names if name not in missing]
            raise ConfigError(
                f"config '{config.filename}': {loop} needs {', '.join(names)}, and "
                f"{' and '.join(missing)} is missing or None; to go without it, set "
                f"{' and '.join(f'{name}=None' for name in there)}, too"
            )


def check_optimizer(config: Config) -> None:
    """Refuse the name of an optimizer that does not exist.

    Args:
        config: A config to train.

    Raises:
        ConfigError: Naming those of a similar name.
    """
    kind = config.optim_wrapper.optimizer.get("type")
    if kind is None or (isinstance(kind, str) and OPTIMIZERS.get(kind) is None):
        known = sorted(OPTIMIZERS.module_dict)
        close = difflib.get_close_matches(str(kind), known, n=3) or known
        raise ConfigError(
            f"config '{config.filename}': optim_wrapper.optimizer.type {kind!r} is "
            f"unknown; choose from {', '.join(close)}"
        )
