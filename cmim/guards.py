"""What every process of this project is kept from, before anything else is imported.

The packages below do these things unasked when they are imported or called. Standard
library only, so that light tools stay light.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_SENDERS = (
    "send_event",
    "start_session",
    "end_session",
    "send_error",
    "send_stack_trace",
)


def guard_process() -> None:
    """Nothing is looked up or sent, and no file that torch loads runs code.

    - albumentations asks the package index for updates when it is imported;
      ``NO_ALBUMENTATIONS_UPDATE=0`` in the environment lets it.
    - OpenVINO and NNCF report what they do through ``openvino_telemetry``; both work
      without that package, so it is made one that cannot be imported here. Nothing is
      written to the user's home.
    - mmengine reads a checkpoint that torch refuses as unsafe once more, unsafely;
      ``torch.hub`` reads unsafely by default. torch has a switch against both.

    Examples:
        >>> guard_process()
        >>> import openvino_telemetry
        Traceback (most recent call last):
        ModuleNotFoundError: import of openvino_telemetry halted; None in sys.modules
    """
    if not os.environ.get("NO_ALBUMENTATIONS_UPDATE"):
        os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    # torch refuses every file where both are set.
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    modules: dict[str, Any] = sys.modules
    loaded = modules.setdefault("openvino_telemetry", None)
    if loaded is not None:
        # OpenVINO was imported before this package.
        for name in _SENDERS:
            setattr(loaded.Telemetry, name, _send_nothing)


def _send_nothing(*_: object, **__: object) -> None:
    """In place of what sends."""
