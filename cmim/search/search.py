"""Predict all networks of a space, and measure some of them."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from cmim.analysis.cost import layer_costs, totals
from cmim.bench.latency.variants import build_network
from cmim.deploy.network_core import NetworkCore
from cmim.identity import identity_of
from cmim.search.design import Design, Space, designed
from cmim.search.front import front_of, spread
from cmim.search.latency_table import LatencyTable, prepare, time_runs
from cmim.search.units import Shape, SlicedInputs, Unit, units_of
from cmim.stages import input_bands

Measure = Callable[[NetworkCore, Sequence[Unit], Sequence[int]], dict[int, float]]
SUMS = ("bops", "flops", "parameters", "memory_mbit")
WORTHS = ("operations", "parameters")


@dataclass
class Candidate:
    """A design with what it costs.

    Attributes:
        design: What it is made of.
        milliseconds: As predicted.
        operations: Multiply-accumulates of an image, of any precision.
        parameters: Values that inference needs, of any precision.
        megabytes: What they take, 10^6 bytes.
        measured: Milliseconds of the whole network, where it was measured.
    """

    design: Design
    milliseconds: float
    operations: float
    parameters: float
    megabytes: float
    measured: float | None = None

    @property
    def error(self) -> float | None:
        """Predicted over measured milliseconds, less 1, in percent."""
        if self.measured is None:
            return None
        return 100 * (self.milliseconds / self.measured - 1)

    def as_record(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {**vars(self), "design": self.design.as_record(), "error": self.error}


def build_core(config: Config, design: Design) -> NetworkCore:
    """The network of a design with random weights, which take the same time."""
    torch.manual_seed(0)
    model = build_network(designed(config, design), None, identity_of(config))
    return NetworkCore(model).float().eval()


def predict_all(
    config: Config,
    space: Space,
    size: tuple[int, int],
    table: LatencyTable,
    measure: Measure,
) -> list[Candidate]:
    """Every design of a space; units that the table lacks are measured.

    Args:
        config: What all designs start from.
        space: The designs.
        size: Height and width of the picture.
        table: What was measured; it gets what is missing.
        measure: Milliseconds of some units of a network, by their places.

    Raises:
        ConfigError: A design that the config's network cannot have.
        ExportError: A layer has no exported form.
    """
    found, spent = [], dict[str, dict[str, float]]()
    for design in space:
        core = build_core(config, design)
        picture: Shape = (input_bands(core.backbone), *size)
        units = units_of(core, picture)
        table.add_missing(units, partial(measure, core, units))
        for unit in units:
            if unit.key not in spent:
                spent[unit.key] = _spent(unit)
        sums = {k: sum(spent[unit.key][k] for unit in units) for k in SUMS}
        found.append(
            Candidate(
                design,
                table.predict(unit.key for unit in units),
                sums["bops"] + sums["flops"],
                sums["parameters"],
                sums["memory_mbit"] / 8,
            )
        )
    return found


def _spent(unit: Unit) -> dict[str, float]:
    """What one unit costs, as the whole network's table counts it."""
    return totals(layer_costs(SlicedInputs(unit), torch.zeros(1, unit.values)))


def front_by(candidates: Sequence[Candidate], worth: str) -> list[Candidate]:
    """Those that no other beats: fewer milliseconds, or more of the worth.

    Args:
        candidates: All.
        worth: ``'operations'`` or ``'parameters'``, which stand for accuracy as long as
            nothing is trained.
    """
    points = [(c.milliseconds, getattr(c, worth)) for c in candidates]
    return [candidates[i] for i in front_of(points)]


def verify(
    config: Config,
    candidates: Sequence[Candidate],
    count: int,
    size: tuple[int, int],
    table: LatencyTable,
    rounds: int,
) -> list[Candidate]:
    """Measure whole networks, in turns, to see how far predictions are off.

    Args:
        config: What all designs start from.
        candidates: In order, of which some at even distances are measured.
        count: How many.
        size: Height and width of the picture.
        table: Where its units were measured.
        rounds: Timed passes of each.

    Returns:
        The measured ones.
    """
    chosen, here = spread(candidates, count), table.circumstances
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for number, candidate in enumerate(chosen):
            core = build_core(config, candidate.design)
            example = torch.randn(1, input_bands(core.backbone), *size)
            place = Path(folder) / str(number)
            place.mkdir()
            runs[str(number)] = prepare(core, example, place, here)
        times = time_runs(runs, here, rounds)
    for number, candidate in enumerate(chosen):
        candidate.measured = statistics.median(times[str(number)])
    return chosen
