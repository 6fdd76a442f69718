"""Threads, memory, disk and GPUs of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from cmim.doctor.findings import MachineFindings

MEMINFO = Path("/proc/meminfo")
# What a container leaves to its processes (control groups of version 2).
CONTAINER = Path("/sys/fs/cgroup")


def examine_machine() -> MachineFindings:
    """Look at the machine; what it does not say is None."""
    threads, gpus = _ask_torch()
    memory, free = read_memory()
    return MachineFindings(
        torch_threads=threads,
        memory_gb=memory,
        free_memory_gb=free,
        free_disk_gb=round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        gpus=gpus,
    )


def read_memory(
    meminfo: Path = MEMINFO, container: Path = CONTAINER
) -> tuple[float | None, float | None]:
    """Memory in GB that there is, and that is free, a container's limit included.

    Args:
        meminfo: Linux' table of its memory.
        container: Folder of the process's control group.
    """
    if not meminfo.is_file():
        return None, None
    rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    total, free = (
        int(rows[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable")
    )
    limit, used = (_number(container / f"memory.{n}") for n in ("max", "current"))
    if limit is not None:
        total = min(total, limit)
        free = min(free, max(limit - (used or 0), 0))
    return round(total / 1e9, 1), round(free / 1e9, 1)


def _number(path: Path) -> int | None:
    """The number in a file; None where it is missing or says ``max``."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _ask_torch() -> tuple[int | None, list[str]]:
    try:
        import torch
    except Exception:  # said among the packages
        return None, []
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return torch.get_num_threads(), [
        torch.cuda.get_device_name(place) for place in range(count)
    ]
