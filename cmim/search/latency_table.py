"""Milliseconds of units on one machine, kept in a file that can be given back."""

from __future__ import annotations

import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cmim.deploy.network_core import NetworkCore
from cmim.engine.config import ConfigError
from cmim.engine.record import write_json
from cmim.json_file import read_json
from cmim.optional_packages import require_packages
from cmim.search.units import Prefix, Shape, Unit

# Milliseconds of the units at some places of a network.
Measure = Callable[[Sequence[int]], dict[int, float]]

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

    def add_missing(self, units: Sequence[Unit], measure: Measure) -> int:
        """Measure what is not in the table; how many that were.

        Args:
            units: All of a network, in the order of use.
            measure: Milliseconds of some of them, by their places.
        """
        missing = {
            unit.key: place
            for place, unit in enumerate(units)
            if unit.key not in self.milliseconds
        }
        if missing:
            found = measure(sorted(missing.values()))
            self.milliseconds |= {key: found[k] for key, k in missing.items()}
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


def time_units(
    core: NetworkCore,
    units: Sequence[Unit],
    places: Sequence[int],
    picture: Shape,
    here: Circumstances,
    rounds: int,
) -> dict[int, float]:
    """Milliseconds of some units of a network, by place.

    A unit alone would have to be given its input and to give its output in the layout
    of files, which within a network it need not. So networks are timed that end with
    it and in front of it, in turns: the median of the differences is the unit's.

    Args:
        core: The network, with any weights.
        units: All of it, in the order of use.
        places: Of those that are wanted.
        picture: ``(C, H, W)`` of the input.
        here: Threads, clock, and the form of its full-precision layers.
        rounds: Timed passes, each behind one that is not.
    """
    import torch

    example = torch.randn(1, *picture, generator=torch.Generator().manual_seed(0))
    ends = sorted({end for k in places for end in (k, k + 1) if end})
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for end in ends:
            place = Path(folder) / str(end)
            place.mkdir()
            runs[str(end)] = prepare(Prefix(core, units[:end]), example, place, here)
        times = time_runs(runs, here, rounds)
    times["0"] = [0.0] * rounds
    return {
        k: max(
            0.0,
            statistics.median(
                longer - shorter
                for longer, shorter in zip(
                    times[str(k + 1)], times[str(k)], strict=True
                )
            ),
        )
        for k in places
    }


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
