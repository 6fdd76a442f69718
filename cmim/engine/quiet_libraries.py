"""Lines of libraries that a user can do nothing about, each by its own words.

Everything else that libraries say is heard. Imports the standard library only.
"""

from __future__ import annotations

import logging
import re
import warnings

# What begins so and is of this kind: cmim itself is what would have to change.
WARNINGS: tuple[tuple[str, type[Warning]], ...] = (
    ("Fail to import ``MultiScaleDeformableAttention``", UserWarning),
    ("`torch.jit.trace` is deprecated. Please switch to", FutureWarning),
    ("`torch.jit.trace_method` is deprecated. Please switch to", FutureWarning),
)
# What mmengine's runner says of each run; its log file keeps it.
LINES = (
    "Distributed training is not used, all SyncBatchNorm (SyncBN) layers in the model "
    "will be automatically reverted",
    "Hooks will be executed in the following order:",
    '"FileClient" will be deprecated in future.',
    '"HardDiskBackend" is the alias of "LocalBackend"',
)
# On every machine with a CPU alone, by what builds nncf's kernels.
_NO_CUDA = "No CUDA runtime is found, using CUDA_HOME="
_CUDA_LOGGER = "torch.utils.cpp_extension"


class LineFilter(logging.Filter):
    """Lets a record pass unless it begins with one of these texts.

    Args:
        beginnings: Texts.

    Examples:
        >>> names = ("library", logging.INFO, "file.py", 1)
        >>> keep = LineFilter(("old news:",)).filter
        >>> [keep(logging.LogRecord(*names, text, None, None))
        ...  for text in ("old news: x", "new old news: x")]
        [False, True]
    """

    def __init__(self, beginnings: tuple[str, ...]) -> None:
        super().__init__()
        self.beginnings = beginnings

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(self.beginnings)


def quiet_warnings() -> None:
    """Silence :data:`WARNINGS`, and that a CPU has no CUDA, for the whole process."""
    for text, kind in WARNINGS:
        warnings.filterwarnings("ignore", message=re.escape(text), category=kind)
    logger = logging.getLogger(_CUDA_LOGGER)
    if not any(isinstance(known, LineFilter) for known in logger.filters):
        logger.addFilter(LineFilter((_NO_CUDA,)))


def quiet_console(logger: logging.Logger) -> None:
    """Keep :data:`LINES` off the console; what goes into files stays whole.

    Args:
        logger: Of a run.
    """
    for handler in logger.handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.addFilter(LineFilter(LINES))
