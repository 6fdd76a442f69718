"""Benchmarks: what steps, layers, losses and exported networks cost.

A module, or a package, with ``BENCH`` is a benchmark of ``tools/bench.py``; its name is
the benchmark's. Code that needs an optional package is imported within ``measure``.
"""

from cmim.bench.benchmark import Benchmark
from cmim.naming import factories


def benchmarks() -> dict[str, Benchmark]:
    """All benchmarks by name, in alphabetical order.

    Examples:
        >>> {"layer", "loss", "step"} <= set(benchmarks())
        True
    """
    return factories("cmim.bench", "BENCH")
