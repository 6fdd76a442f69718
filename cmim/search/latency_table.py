"""Milliseconds of units on one machine, kept in a file that can be given back."""

from __future__ import annotations

import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cmim.engine.config import ConfigError
from cmim.engine.record import write_json
from cmim.json_file import read_json
from cmim.optional_packages import require_packages
from cmim.search.units import SlicedInputs, Unit

# What the layers beside the binary ones may be.
RESTS = ("float32", "int8")


@dataclass(frozen=True)
class Circumstances:
    """What milliseconds depend on beside the unit.

    Attributes:
        processor: Its name.
        engine: Version of OpenVINO.
        threads: Of the engine.
        clock: ``wall``, or ``cpu`` for the time that the processor spent.
        rest: The layers beside the binary ones: ``float32`` or ``int8``.
    """

    processor: str
    engine: str
    threads: int
    clock: str
    rest: str


@dataclass
class LatencyTable:
    """Milliseconds by unit.

    Attributes:
        circumstances: Where they were measured.
        milliseconds: Of each unit by its key, the median.

    Examples:
        >>> where = Circumstances("a processor", "2026.0", 1, "wall", "float32")
        >>> table = LatencyTable(where, {"stem": 1.5, "block": 2.0})
        >>> table.predict(["stem", "block", "block"])
        5.5
    """

    circumstances: Circumstances
    milliseconds: dict[str, float] = field(default_factory=dict)

    def predict(self, keys: Iterable[str]) -> float:
        """Milliseconds of a network: the sum over its units.

        Args:
            keys: Of its units, each as often as it is there.

        Raises:
            KeyError: A unit that was not measured.
        """
        return sum(self.milliseconds[key] for key in keys)

    def add_missing(
        self, units: Sequence[Unit], measure: Callable[[Unit], float]
    ) -> int:
        """Measure what is not in the table; how many that were."""
        missing = {u.key: u for u in units if u.key not in self.milliseconds}
        for key, unit in missing.items():
            self.milliseconds[key] = measure(unit)
        return len(missing)

    def save(self, path: str | Path) -> None:
        """Write it as JSON, for :func:`read_table`."""
        write_json(path, asdict(self))


def read_table(path: str | Path, here: Circumstances | None = None) -> LatencyTable:
    """A table that was written.

    Args:
        path: The file.
        here: What must hold for it; anything may when None, as for measurements of
            another machine that are taken as they are.

    Raises:
        ConfigError: It holds something else, or was measured otherwise.
    """
    content = read_json(path)
    try:
        found = Circumstances(**content["circumstances"])
        times = {str(k): float(v) for k, v in content["milliseconds"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConfigError(
            f"'{path}' holds no measurements of a search; name a file that --save wrote"
        ) from None
    if here is not None and found != here:
        differing = [
            f"{name} was {old!r} and is {getattr(here, name)!r}"
            for name, old in asdict(found).items()
            if old != getattr(here, name)
        ]
        raise ConfigError(
            f"'{path}' was measured otherwise ({'; '.join(differing)}): measure again "
            "without --measurements, or ask for the same"
        )
    return LatencyTable(found, times)


def circumstances_here(threads: int, clock: str, rest: str) -> Circumstances:
    """What is the case on this machine.

    Raises:
        ConfigError: The processor's time of several threads, which is no latency.
        ImportError: No OpenVINO, or no NNCF for 8 bits.
    """
    require_packages("timing networks", "openvino")
    if rest == "int8":
        require_packages("--rest int8", "nncf")
    if clock == "cpu" and threads > 1:
        raise ConfigError("--clock cpu adds up all threads: ask for --threads 1")
    import openvino

    from cmim.cpu_flags import cpu_name

    return Circumstances(cpu_name(), openvino.__version__, threads, clock, rest)


def time_unit(unit: Unit, here: Circumstances, rounds: int) -> float:
    """Milliseconds of a unit in the engine, the median.

    Args:
        unit: What is timed, with random inputs.
        here: Threads, clock, and the form of its full-precision layers.
        rounds: Timed passes, each behind one that is not.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    example = torch.randn(1, unit.values, generator=generator)
    module = SlicedInputs(unit)
    with tempfile.TemporaryDirectory() as folder:
        run = prepare(module, example, Path(folder), here)
        return statistics.median(time_runs({"unit": run}, here, rounds)["unit"])


def time_runs(
    runs: dict[str, Callable[[], Any]], here: Circumstances, rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of each run in each round, in turns."""
    from cmim.bench.turns import CLOCKS, time_turns

    times = time_turns(
        runs, rounds, warm_up=1, rehearsed=True, clock=CLOCKS[here.clock]
    )
    return {name: [1e3 * each for each in seconds] for name, seconds in times.items()}


def prepare(
    module: Any, example: Any, folder: Path, here: Circumstances
) -> Callable[[], Any]:
    """A warmed-up call that runs a network in the engine, as it would be exported.

    Args:
        module: In evaluation mode; its binary layers get 1 bit.
        example: Its one input.
        folder: Gets the exported file.
        here: Threads, and the form of its full-precision layers.
    """
    from cmim.bench.latency.engines import prepare_file
    from cmim.deploy.openvino_export import convert_packed, save_model
    from cmim.deploy.packed_conv import pack_network
    from cmim.deploy.shared_core import FLOAT32

    packed, _ = pack_network(module.eval(), example)
    packed(example)
    with warnings.catch_warnings():
        # torch.jit's, of its future: one for each part would hide the table.
        warnings.simplefilter("ignore", FutureWarning)
        network = convert_packed(packed, example)
    if here.rest == "int8":
        from cmim.deploy.quantize import quantize_rest

        network = quantize_rest(network, [example])
    path = folder / "network.xml"
    save_model(network, path)
    return prepare_file(str(path), FLOAT32, here.threads, example)
