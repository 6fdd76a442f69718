"""How the processes of a distributed run find each other, or say that they do not."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from cmim.engine.config_error import ConfigError

# Seconds that a process waits for the others, which import as much as it did: who is
# alone says so within half a minute of its start.
SECONDS = 15.0
# How long they may take to answer each other later on: torch's own choice.
LATER = timedelta(minutes=30)
# Where launchers write rank, number of processes and rank on the machine.
_NAMES = {
    "pytorch": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    "mpi": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
            "OMPI_COMM_WORLD_LOCAL_RANK"),
}  # fmt: skip
_STARTED_BY = {"pytorch": "torchrun", "slurm": "srun", "mpi": "mpirun"}
# What torch listens on where nothing else is said.
_PORT = "29500"


def join_processes(launcher: str, options: Mapping[str, Any]) -> None:
    """Make this process one of those that a launcher has started.

    Args:
        launcher: ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        options: ``env_cfg.dist_cfg`` of a config: ``backend``; ``meet_seconds``, how
            long to wait for the others; ``timeout``, seconds that a later exchange
            between processes may take; ``port`` in place of ``MASTER_PORT``.

    Raises:
        ConfigError: The launcher has not started it, the others do not come, or there
            are more processes on this machine than GPUs.
    """
    place = read_launcher(launcher, options.get("port"))
    seconds = float(options.get("meet_seconds", SECONDS))
    store = meet(place, seconds)
    if torch.cuda.is_available():
        _take_gpu(int(os.environ["LOCAL_RANK"]))
    # Whoever meets is quick, and may be slow afterwards, reading data.
    given = options.get("timeout")
    later = None if given is None else timedelta(seconds=float(given))
    store.set_timeout(later or LATER)
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    backend = options.get("backend", "nccl")
    dist.init_process_group(
        backend, store=store, rank=rank, world_size=size, timeout=later
    )


def _take_gpu(number: int) -> None:
    count = torch.cuda.device_count()
    if number >= count:
        raise ConfigError(
            f"process {number + 1} of this machine has no GPU: there "
            f"{'is 1' if count == 1 else f'are {count}'}; start as many processes as "
            "GPUs (--nproc-per-node), or hide the GPUs (CUDA_VISIBLE_DEVICES=-1) to "
            "train on CPUs"
        )
    torch.cuda.set_device(number)


def read_launcher(launcher: str, port: int | None = None) -> tuple[str, int]:
    """Where the processes meet, by what the launcher says; fills in torch's variables.

    Args:
        launcher: See :func:`join_processes`.
        port: In place of ``MASTER_PORT``.

    Returns:
        Host and port.

    Raises:
        ConfigError: A variable is missing.
    """
    names = _NAMES[launcher]
    missing = [name for name in names if name not in os.environ]
    if launcher == "pytorch" and "MASTER_ADDR" not in os.environ:
        missing.append("MASTER_ADDR")
    if missing:
        raise ConfigError(
            f"--launcher {launcher} needs {', '.join(missing)} in the environment: "
            f"start it with {_STARTED_BY[launcher]}, or leave --launcher out for one "
            "process"
        )
    for ours, theirs in zip(_NAMES["pytorch"], names, strict=True):
        os.environ[ours] = os.environ[theirs]
    if "MASTER_ADDR" not in os.environ:
        os.environ["MASTER_ADDR"] = _first_host()
    if port is not None and _lent():
        raise ConfigError(
            f"env_cfg.dist_cfg.port={port}: torchrun listens at a port of its own; "
            "leave it out, and say torchrun --master-port"
        )
    if port is not None:
        os.environ["MASTER_PORT"] = str(port)
    os.environ.setdefault("MASTER_PORT", _port())
    return os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])


def _first_host() -> str:
    """The machine of rank 0 of a Slurm job; this one without a list of them."""
    nodes = os.environ.get("SLURM_NODELIST")
    if nodes is None:
        return "127.0.0.1"
    command = ["scontrol", "show", "hostnames", nodes]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        return told.stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise ConfigError(
            f"scontrol does not say which machine of '{nodes}' is the first one "
            f"({error}); set MASTER_ADDR to it"
        ) from error


def _job() -> str:
    """What all processes of a start have in common, and those of another have not."""
    names = ("SLURM_JOB_ID", "SLURM_STEP_ID", "TORCHELASTIC_RUN_ID", "PMIX_NAMESPACE")
    return ".".join(os.environ[name] for name in names if name in os.environ)


def _port() -> str:
    """A port for each job of Slurm, so that two on one machine do not meet."""
    job = os.environ.get("SLURM_JOB_ID", "")
    return str(20_000 + int(job) % 10_000) if job.isdigit() else _PORT


def _lent() -> bool:
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def meet(place: tuple[str, int], seconds: float) -> dist.Store:
    """Wait until all processes are there.

    Args:
        place: Host and port of rank 0, or of what the launcher has put there.
        seconds: How long to wait.

    Returns:
        What the processes tell each other by.

    Raises:
        ConfigError: Some do not come.
    """
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    end = time.monotonic() + seconds
    with _said_in_a_sentence(place, seconds):
        if rank or _lent():
            _knock(place, end)
        left = timedelta(seconds=max(1.0, end - time.monotonic()))
        # Rank 0 alone waits here for the others; those that come find it listening.
        store, _, _ = next(dist.rendezvous("env://", timeout=left))
        store.set(_arrived(rank), "1")
        while missing := _missing(store, size):
            if time.monotonic() > end:
                raise TimeoutError(f"missing: rank {', '.join(map(str, missing))}")
            time.sleep(0.05)
    return store


def _missing(store: dist.Store, size: int) -> list[int]:
    return [rank for rank in range(size) if not store.check([_arrived(rank)])]


def _arrived(rank: int) -> str:
    return f"cmim_arrived_{_job()}_{rank}"


def _knock(place: tuple[str, int], end: float) -> None:
    """Wait until somebody listens; torch would print pages about each attempt."""
    while True:
        try:
            socket.create_connection(place, timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise TimeoutError("nobody listens there") from None
            time.sleep(0.1)


@contextmanager
def _said_in_a_sentence(place: tuple[str, int], seconds: float) -> Iterator[None]:
    try:
        yield
    except (TimeoutError, dist.DistStoreError, dist.DistNetworkError) as error:
        rank, size = os.environ["RANK"], os.environ["WORLD_SIZE"]
        said = str(error).splitlines()[0].rstrip(".")
        if "in use" in said:
            raise
        raise ConfigError(
            f"rank {rank} of {size} processes has waited {seconds:g} s for the others "
            f"at {place[0]}:{place[1]} ({said}): start all {size} of them, check that "
            "they reach that address, or raise env_cfg.dist_cfg.meet_seconds"
        ) from None
