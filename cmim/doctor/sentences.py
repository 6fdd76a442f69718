"""What will be slow here and why, and what is broken: a sentence each."""

from __future__ import annotations

from cmim.doctor.findings import (
    DoctorFindings,
    EngineFindings,
    MachineFindings,
    PrecisionFindings,
    ProcessorFindings,
)
from cmim.doctor.packages import broken_packages

# Peak of training runs of the small configs, docs/results.md.
TRAINING_GB = 3.4
# A layer in bfloat16 that takes longer than this share of float32 gains nothing.
NO_GAIN = 0.95


def slow_things(found: DoctorFindings) -> list[str]:
    """What takes longer here than it would elsewhere or otherwise."""
    said = _of_processor(found["processor"], found["engine"])
    if found["precision"] is not None:
        said += _of_precision(found["precision"])
    said += _of_engine(found["engine"])
    nncf = found["packages"].get("nncf")
    if found["engine"]["version"] and nncf and nncf["version"] is None:
        said.append(
            "without nncf the layers beside the binary ones stay float32 in exported "
            "files (--rest int8 is not there)"
        )
    return said + _of_machine(found["machine"], found["processor"]["cores"])


def broken_things(found: DoctorFindings) -> list[str]:
    """What is needed, or installed, and does not work."""
    said = broken_packages(found["packages"])
    engine = found["engine"]
    if engine["error"]:
        said.append(f"OpenVINO runs no binary convolution here: {engine['error']}")
    elif engine["exact"] is False:
        said.append(
            "OpenVINO's binary convolution is not exact here: do not use exported "
            "files on this machine before --verify finds none wrong"
        )
    return said


def _of_processor(processor: ProcessorFindings, engine: EngineFindings) -> list[str]:
    said = [
        f"{name}={value} in the environment forbids instructions that the processor "
        "may have: unset it, unless that is meant"
        for name, value in processor["limits"].items()
    ]
    if processor["limits"] and "avx512" in " ".join(engine["kernels"]):
        said[-1] += "; the engine's 1-bit kernel takes AVX-512 all the same"
    vnni = processor["sets"]["8-bit products (VNNI)"]
    if vnni is False and processor["sets"]["AVX2"]:
        said.append(
            "this processor has no 8-bit products (VNNI): 8-bit layers gain less over "
            "float32 than elsewhere"
        )
    return said


def _of_precision(precision: PrecisionFindings) -> list[str]:
    from cmim.engine.precision import warning_of

    warning = warning_of("bfloat16", precision["device"])
    said = [f"with --amp (bfloat16): {warning}"] if warning else []
    ratio = precision["time_ratio"]
    if ratio is not None and precision["bfloat16"] and ratio > NO_GAIN:
        said.append(
            f"--amp: a layer takes {ratio:.2f} x the time of float32 here although the "
            "device has bfloat16 instructions: try a run with and without"
        )
    return said


def _of_engine(engine: EngineFindings) -> list[str]:
    if engine["version"] is None:
        return [
            "without OpenVINO a binary network is only simulated, in float32, and is "
            "no faster than a full-precision one: pip install 'cmim[deploy]'"
        ]
    fast = "vector bit counts" in engine["said"]
    return [engine["said"]] if engine["said"] and not fast else []


def _of_machine(machine: MachineFindings, cores: int) -> list[str]:
    said = []
    if not machine["gpus"]:
        said.append(
            "there is no GPU: configs whose names end with _small are made for CPUs, "
            "the others for a GPU"
        )
    threads = machine["torch_threads"]
    if threads is not None and threads < cores:
        said.append(
            f"torch computes with {threads} of {cores} cores (OMP_NUM_THREADS, or as "
            "many as it takes for physical ones)"
        )
    if cores == 1:
        said.append("there is one core: times in the documentation are of two")
    free = machine["free_memory_gb"]
    if free is not None and free < TRAINING_GB:
        said.append(
            f"{free:.1f} GB of memory are free, and training a small config takes up "
            f"to {TRAINING_GB} GB: the machine may swap, or end the run"
        )
    return said
