"""All that the doctor found, as its text and ``--json`` have it."""

from __future__ import annotations

from typing import TypedDict


class ProcessorFindings(TypedDict):
    """The processor.

    Attributes:
        name: As the system says it; may be empty.
        machine: Its kind, such as ``x86_64``.
        cores: Those that this process may use.
        sets: Whether it has each of :data:`cmim.doctor.processor.SETS`; None where the
            system does not say.
        limits: Variables of the environment that forbid instructions, with their
            values.
    """

    name: str
    machine: str
    cores: int
    sets: dict[str, bool | None]
    limits: dict[str, str]


class EngineFindings(TypedDict):
    """OpenVINO.

    Attributes:
        version: None where it is not installed.
        kernels: Those that it takes for a binary convolution.
        said: The speed to expect of them, in words.
        exact: Whether the sums of one layer are those of integers.
        error: Why it runs no binary convolution, or None.
        binary_ms: Time of a binary layer on one thread, see
            :mod:`cmim.doctor.speed`; None where it was not timed.
        float_ms: That of the same layer in float32.
    """

    version: str | None
    kernels: list[str]
    said: str
    exact: bool | None
    error: str | None
    binary_ms: float | None
    float_ms: float | None


class PrecisionFindings(TypedDict):
    """What ``--amp`` does here.

    Attributes:
        device: Where torch trains.
        bfloat16: Whether the device has instructions for it.
        auto: What ``--amp auto`` computes in.
        time_ratio: Time of a layer's forward and backward pass in bfloat16 over that
            in float32; None where it was not timed.
    """

    device: str
    bfloat16: bool
    auto: str
    time_ratio: float | None


class PackageFindings(TypedDict):
    """One package.

    Attributes:
        extra: The extra that brings it; empty for what is always needed.
        version: None where it is not installed.
        wanted: The versions that are accepted.
        error: What is wrong with an installed one, or None.
    """

    extra: str
    version: str | None
    wanted: str
    error: str | None


class MachineFindings(TypedDict):
    """Threads and memory; None where the system does not say.

    Attributes:
        torch_threads: That torch computes with.
        memory_gb: Of the machine, or that a container leaves to it.
        free_memory_gb: What programs can take without swapping.
        free_disk_gb: In the current folder.
        gpus: Names of the GPUs that torch sees.
    """

    torch_threads: int | None
    memory_gb: float | None
    free_memory_gb: float | None
    free_disk_gb: float
    gpus: list[str]


class DataFindings(TypedDict):
    """A folder or file that configs of the project read.

    Attributes:
        found: Whether it is there.
        said: What it holds, or how to get it.
    """

    found: bool
    said: str


class DoctorFindings(TypedDict):
    """Everything; ``slow`` and ``broken`` are sentences."""

    cmim: str
    python: str
    platform: str
    processor: ProcessorFindings
    engine: EngineFindings
    precision: PrecisionFindings | None
    packages: dict[str, PackageFindings]
    machine: MachineFindings
    data: dict[str, DataFindings]
    slow: list[str]
    broken: list[str]
