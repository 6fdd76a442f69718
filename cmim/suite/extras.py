"""What a suite asks of its runs beside their figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cmim.engine.sentences import sentence_of
from cmim.suite.examples import ExampleWriter, palette_of
from cmim.suite.full_disk import is_full


class Extras:
    """Does it, in the process of the run.

    What cannot be measured or drawn leaves a ``note`` in its place: the run has its
    figures all the same. A full disk alone is raised: the run goes on once there is
    space.

    Args:
        asked: See :attr:`cmim.suite.definition.Suite.after`.
    """

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self.asked = asked
        self._examples: ExampleWriter | None = None
        self._found: dict[str, Any] = {}

    def begin(self, config: Config) -> Callable[[Any], None] | None:
        """What takes the predicted samples of the test, if anything does.

        Args:
            config: Of the run.
        """
        if not self.asked.get("examples"):
            return None
        self._examples = ExampleWriter(self.asked["examples"], palette_of(config))
        return self._take

    def _take(self, sample: Any) -> None:
        """Draw a sample; behind the first that cannot be drawn there is nothing."""
        if self._examples is None:
            return
        try:
            self._examples(sample)
        except Exception as error:
            self._found["examples"] = _note("not drawn", error)
            self._examples = None

    def corrupt(self, config: Config, checkpoint: str) -> None:
        """Test the network on corrupted pictures, where that is asked for.

        Args:
            config: Of the run.
            checkpoint: That it ended with.
        """
        asked = self.asked.get("corruptions")
        if asked is not None:
            self._found["robustness"] = _measured(
                lambda: _robustness(config, checkpoint, asked)
            )

    def finish(
        self, config: Config, checkpoint: str, threads: int, folder: Path
    ) -> dict[str, Any]:
        """What the record gets; further files are written beside it.

        Args:
            config: Of the run.
            checkpoint: That it ended with.
            threads: CPU threads of the run.
            folder: Of the suite's records.
        """
        if self._examples is not None:
            try:
                self._found["examples"] = self._examples.write(folder)
            except Exception as error:
                self._found["examples"] = _note("not written", error)
        if self.asked.get("latency"):
            self._found["latency"] = _measured(
                lambda: _latency(config, checkpoint, threads)
            )
        return self._found


def _measured(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return measure()
    except Exception as error:
        return _note("not measured", error)


def _note(what: str, error: Exception) -> dict[str, Any]:
    if is_full(error):
        raise error
    return dict(note=f"{what}: {sentence_of(error)}")


def _robustness(
    config: Config, checkpoint: str, asked: Mapping[str, Any]
) -> dict[str, Any]:
    from cmim.engine.evaluate import load_task_model
    from cmim.engine.robustness import measure_robustness

    return measure_robustness(load_task_model(config, checkpoint), config, **asked)


def _latency(config: Config, checkpoint: str, threads: int) -> dict[str, Any]:
    from cmim.bench.latency.one_network import time_network

    return time_network(config, checkpoint, threads)
