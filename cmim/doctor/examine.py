"""Examines part after part; what is broken ends none of the others."""

from __future__ import annotations

import platform

import cmim
from cmim.doctor.data import examine_data
from cmim.doctor.engine import examine_engine
from cmim.doctor.findings import DoctorFindings, PrecisionFindings
from cmim.doctor.machine import examine_machine
from cmim.doctor.packages import broken_packages, examine_packages
from cmim.doctor.processor import examine_processor
from cmim.doctor.sentences import broken_things, slow_things


def examine(timing: bool = True) -> DoctorFindings:
    """Look at processor, engine, packages, memory and data.

    Args:
        timing: Whether single layers are timed, which takes seconds.
    """
    packages = examine_packages()
    found = DoctorFindings(
        cmim=cmim.__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        processor=examine_processor(),
        engine=examine_engine(),
        precision=_examine_precision(),
        packages=packages,
        machine=examine_machine(),
        data=examine_data(),
        slow=[],
        broken=[],
    )
    if timing and not broken_packages(packages):
        _measure(found)
    found["broken"] = broken_things(found)
    found["slow"] = slow_things(found)
    return found


def _examine_precision() -> PrecisionFindings | None:
    """None where torch or mmengine do not work, which the packages say."""
    try:
        from mmengine.device import get_device

        from cmim.engine.precision import choose_precision, has_bfloat16
    except Exception:
        return None
    device = get_device()
    return PrecisionFindings(
        device=device,
        bfloat16=has_bfloat16(device),
        auto=choose_precision("auto", device),
        time_ratio=None,
    )


def _measure(found: DoctorFindings) -> None:
    from cmim.doctor.speed import time_bfloat16, time_binary_layer

    precision, engine = found["precision"], found["engine"]
    if precision is not None and precision["device"] in ("cpu", "cuda"):
        precision["time_ratio"] = time_bfloat16(precision["device"])
    if engine["exact"]:
        engine["binary_ms"], engine["float_ms"] = time_binary_layer()
