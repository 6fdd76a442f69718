"""What a suite asks of its runs beside their figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cmim.suite.examples import ExampleWriter, palette_of


class Extras:
    """Does it, in the process of the run.

    Args:
        asked: See :attr:`cmim.suite.definition.Suite.after`.
    """

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self.asked = asked
        self._examples: ExampleWriter | None = None

    def begin(self, config: Config) -> ExampleWriter | None:
        """What takes the predicted samples of the test, if anything does.

        Args:
            config: Of the run.
        """
        if self.asked.get("examples"):
            self._examples = ExampleWriter(self.asked["examples"], palette_of(config))
        return self._examples

    def finish(self, folder: Path) -> dict[str, Any]:
        """What the record gets; further files are written beside it.

        Args:
            folder: Of the suite's records.
        """
        found: dict[str, Any] = {}
        if self._examples is not None:
            found["examples"] = self._examples.write(folder)
        return found
