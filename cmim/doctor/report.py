"""The findings as text."""

from __future__ import annotations

from cmim.doctor.findings import DoctorFindings
from cmim.doctor.packages import missing_extras
from cmim.doctor.speed import CHANNELS, HEIGHT, WIDTH

WIDTH_OF_NAMES = 12


def format_findings(found: DoctorFindings) -> str:
    """A paragraph a part, then what will be slow and what is broken."""
    lines = _of_machine(found) + _of_engine(found) + _of_precision(found)
    lines += _of_packages(found) + _of_data(found)
    for title, sentences in (
        ("slow here", found["slow"]),
        ("broken", found["broken"]),
    ):
        lines += ["", f"{title}:{'' if sentences else ' nothing that was looked for'}"]
        lines += [f"  - {sentence}" for sentence in sentences]
    return "\n".join(lines)


def _line(name: str, text: str) -> str:
    return f"{name:{WIDTH_OF_NAMES}s}{text}"


def _of_machine(found: DoctorFindings) -> list[str]:
    processor, machine = found["processor"], found["machine"]
    named = {True: "yes", False: "no", None: "unknown"}
    sets = [f"{name} {named[has]}" for name, has in processor["sets"].items()]
    cores = processor["cores"]
    threads, memory = machine["torch_threads"], machine["memory_gb"]
    parts = [
        f"{cores} core{'s' * (cores != 1)}",
        "torch does not work" if threads is None else f"torch computes with {threads}",
        "memory unknown"
        if memory is None
        else f"memory {memory} GB, {machine['free_memory_gb']} free",
        f"disk {machine['free_disk_gb']} GB free here",
        f"GPU {', '.join(machine['gpus']) or 'none'}",
    ]
    limits = [f"{name}={value}" for name, value in processor["limits"].items()]
    return [
        _line("project", f"cmim {found['cmim']}, Python {found['python']}, "
              f"{found['platform']}"),
        _line("processor", f"{processor['name'] or 'unnamed'}, {processor['machine']}"),
        _line("", "; ".join(sets[:4])),
        _line("", "; ".join(sets[4:])),
        *[_line("", f"limited by {limit}") for limit in limits],
        _line("machine", "; ".join(parts)),
    ]  # fmt: skip


def _of_engine(found: DoctorFindings) -> list[str]:
    engine = found["engine"]
    if engine["version"] is None:
        return [_line("OpenVINO", "not installed")]
    if engine["error"]:
        return [_line("OpenVINO", f"{engine['version']}, does not work")]
    exact = "exact" if engine["exact"] else "NOT EXACT"
    lines = [
        _line("OpenVINO", f"{engine['version']}, 1-bit kernel "
              f"{', '.join(engine['kernels'])}, {exact}")
    ]  # fmt: skip
    if engine["binary_ms"] and engine["float_ms"]:
        ratio = engine["float_ms"] / engine["binary_ms"]
        lines.append(
            _line("", f"a 3x3 layer of {CHANNELS} channels over {HEIGHT}x{WIDTH}, one "
                  f"thread: 1-bit {engine['binary_ms']:.2f} ms, float32 "
                  f"{engine['float_ms']:.2f} ms ({ratio:.1f} x)")
        )  # fmt: skip
    return lines


def _of_precision(found: DoctorFindings) -> list[str]:
    precision = found["precision"]
    if precision is None:
        return [_line("--amp", "unknown, since torch or mmengine do not work")]
    has = "has" if precision["bfloat16"] else "has no"
    text = (
        f"{precision['device']} {has} bfloat16 instructions; --amp auto computes in "
        f"{precision['auto']}"
    )
    lines = [_line("--amp", text)]
    if precision["time_ratio"] is not None:
        lines.append(
            _line("", f"both passes of a convolution in bfloat16: "
                  f"{precision['time_ratio']:.2f} x the time of float32")
        )  # fmt: skip
    return lines


def _of_packages(found: DoctorFindings) -> list[str]:
    packages = found["packages"]
    groups: dict[str, list[str]] = {}
    for name, package in packages.items():
        if package["version"] is not None:
            wrong = " (!)" if package["error"] else ""
            text = f"{name} {package['version']}{wrong}"
            groups.setdefault(package["extra"], []).append(text)
    lines: list[str] = []
    for extra, texts in groups.items():
        title = "packages" if not lines else ""
        lines.append(_line(title, f"{extra or 'needed'}: {', '.join(texts)}"))
    return lines + [
        _line("", f"missing for {extra}: {text}")
        for extra, text in missing_extras(packages).items()
    ]


def _of_data(found: DoctorFindings) -> list[str]:
    lines: list[str] = []
    for name, place in found["data"].items():
        state = "found" if place["found"] else "not here"
        said = f": {place['said']}" if place["said"] else ""
        lines.append(_line("" if lines else "data", f"{name} {state}{said}"))
    return lines
