"""The figures of a latency run, as its table, its picture and ``--json`` read them."""

from __future__ import annotations

from typing import Any, TypedDict


class MeasuredVariant(TypedDict, total=False):
    """Figures of a variant beside its time.

    Attributes:
        peak_mb: Peak resident memory in MB; None where its process ended early.
        metrics: Those of the task on the test images that were asked for.
        change: The first metric against torch's float32 execution, a rival's against
            its execution in OpenVINO in float32.
    """

    peak_mb: float | None
    metrics: dict[str, Any]
    change: float


class VariantFigures(MeasuredVariant):
    """A way to execute a network; ``note`` says why it was not measured.

    ``network`` is ``one_bit``, ``twin`` or a rival's name.
    """

    network: str
    label: str
    megabytes: float
    note: str | None


class RecordedFigures(TypedDict):
    """What a training run has recorded of its network, tested in torch.

    Attributes:
        metrics: Those of its test.
        file: Where they were read.
    """

    metrics: dict[str, float]
    file: str


class NodeTime(TypedDict):
    """Median time of a node of the engine."""

    name: str
    kind: str
    kernel: str
    ms: float


class Profile(TypedDict):
    """Where the fastest 1-bit network spends its time, on one thread.

    Attributes:
        network: Name of the variant.
        total_ms: Milliseconds of all nodes.
        kinds: Milliseconds by kind of node, costliest first.
        nodes: Costliest first.
        binary_gops: 10^9 operations of the binary convolutions, 2 a product.
        binary_tops: 10^12 of these operations a second; None where there are none.
        cached_tops: The rate of the same kernel in a layer that fits into the cache.
    """

    network: str
    total_ms: float
    kinds: dict[str, float]
    nodes: list[NodeTime]
    binary_gops: float
    binary_tops: float | None
    cached_tops: float


class ElementWisePass(TypedDict):
    """An element-wise pass: what it joins, the shape that it writes, ms by threads."""

    operations: str
    output: str
    ms: dict[str, float]


class Passes(TypedDict):
    """Kinds of passes of the fastest 1-bit network, and those that are element-wise.

    ``kinds`` has milliseconds by kind and number of threads.
    """

    kinds: dict[str, dict[str, float]]
    element_wise: list[ElementWisePass]


class LatencyFigures(TypedDict):
    """All figures of a run.

    Attributes:
        input: Shape of the input ``[N, C, H, W]``.
        rounds: Timed turns of each variant.
        clock: ``wall``, or ``cpu`` for the time that the processor spent.
        calibration: The images that the ranges of 8-bit layers were measured on.
        threads: By number of threads ``ms`` and ``spread_ms`` of each variant, and of
            the ``fastest`` 1-bit variant ``speedup_vs_...``, medians over rounds, and
            ``size_ratio``; ``rivals`` has the time of each variant of a rival over that
            of the fastest 1-bit one, medians of ratios within a round.
        variants: By name.
        rivals: Names of the rivals.
        recorded: By network, of checkpoints with a record beside them.
        higher_is_better: Whether larger values of the first metric are better.
        profile: The profile of the fastest 1-bit variant.
        passes: The same network at each number of threads.
        kernels: The engine's kernels of binary convolutions, in words.
    """

    input: list[int]
    rounds: int
    clock: str
    calibration: str
    threads: dict[str, dict[str, Any]]
    variants: dict[str, VariantFigures]
    rivals: list[str]
    recorded: dict[str, RecordedFigures]
    higher_is_better: bool
    profile: Profile
    passes: Passes
    kernels: str
