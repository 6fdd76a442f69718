"""Options of data loaders that do not go together."""

from __future__ import annotations

from mmengine.config import Config

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
# torch refuses them where the main process loads the data itself.
OF_WORKERS: tuple[str, ...] = ("persistent_workers", "prefetch_factor", "timeout")
OF_WORKERS += ("multiprocessing_context",)


def fit_loaders(config: Config) -> None:
    """Drop what only worker processes need where there are none (``num_workers=0``).

    Args:
        config: A config; changed in place.

    Examples:
        >>> loader = dict(num_workers=0, persistent_workers=True, batch_size=2)
        >>> config = Config(dict(train_dataloader=loader))
        >>> fit_loaders(config)
        >>> dict(config.train_dataloader)
        {'num_workers': 0, 'batch_size': 2}
    """
    for name in LOADERS:
        loader = config.get(name)
        if loader is not None and loader.get("num_workers", 0) == 0:
            for option in OF_WORKERS:
                loader.pop(option, None)
