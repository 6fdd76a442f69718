"""What launchers say, and a process that waits in vain."""

from __future__ import annotations

import os
import socket
import time

import pytest

from cmim.engine import meeting
from cmim.engine.config_error import ConfigError
from cmim.engine.meeting import meet, read_launcher

EVERY = [
    *("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"),
    *("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NODELIST"),
    *("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    *("TORCHELASTIC_USE_AGENT_STORE", "SLURM_JOB_ID"),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    # Set first, so that what the code itself writes is taken back, too.
    for name in EVERY:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def test_what_slurm_says_becomes_what_torch_reads(environment):
    for name, value in (("PROCID", "3"), ("NTASKS", "4"), ("LOCALID", "1")):
        environment.setenv(f"SLURM_{name}", value)
    environment.setenv("MASTER_ADDR", "node7")
    assert read_launcher("slurm", port=29123) == ("node7", 29123)
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")
    assert [os.environ[name] for name in names] == ["3", "4", "1", "29123"]


def test_what_mpi_says_becomes_what_torch_reads(environment):
    for name, value in (("RANK", "1"), ("SIZE", "2"), ("LOCAL_RANK", "0")):
        environment.setenv(f"OMPI_COMM_WORLD_{name}", value)
    assert read_launcher("mpi") == ("127.0.0.1", 29500)
    assert [os.environ[n] for n in ("RANK", "WORLD_SIZE")] == ["1", "2"]


@pytest.mark.parametrize(
    ("launcher", "said"),
    [
        ("pytorch", "RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR in the environment: "
         "start it with torchrun"),
        ("slurm", "SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID in .* with srun"),
        ("mpi", "OMPI_COMM_WORLD_RANK, .* with mpirun"),
    ],
)  # fmt: skip
def test_a_process_that_no_launcher_has_started_says_so(launcher, said):
    with pytest.raises(ConfigError, match=said):
        read_launcher(launcher)


@pytest.mark.parametrize(
    ("rank", "said"), [("0", "1/2 clients joined"), ("1", "nobody listens there")]
)
def test_a_process_alone_says_so(environment, rank, said, capfd):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment.setenv("RANK", rank)
    environment.setenv("WORLD_SIZE", "2")
    environment.setenv("MASTER_ADDR", "127.0.0.1")
    environment.setenv("MASTER_PORT", str(port))
    begun = time.monotonic()
    with pytest.raises(ConfigError) as error:
        meet(("127.0.0.1", port), seconds=1)
    assert time.monotonic() - begun < 5
    text = str(error.value)
    assert text.startswith(f"rank {rank} of 2 processes has waited 1 s for the others")
    assert said in text
    assert "env_cfg.dist_cfg.meet_seconds" in text
    assert "\n" not in text
    # torch would add pages about sockets.
    assert capfd.readouterr().err == ""


def test_jobs_of_one_machine_do_not_meet(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    found = []
    for job in ("4242", "4243"):
        monkeypatch.delenv("MASTER_PORT", raising=False)
        for name, value in dict(JOB_ID=job, PROCID=0, NTASKS=2, LOCALID=0).items():
            monkeypatch.setenv(f"SLURM_{name}", str(value))
        found.append((meeting.read_launcher("slurm")[1], meeting._arrived(0)))
    assert found[0] == (24242, "cmim_arrived_4242_0")
    assert found[1] == (24243, "cmim_arrived_4243_0")


def test_a_port_beside_torchruns_own_is_refused(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    with pytest.raises(ConfigError, match="torchrun --master-port"):
        meeting.read_launcher("pytorch", 29511)


def test_a_machine_without_scontrol_says_what_to_set(monkeypatch, tmp_path):
    for name, value in dict(PROCID=0, NTASKS=2, LOCALID=0, NODELIST="a[1-2]").items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="set MASTER_ADDR to it"):
        meeting.read_launcher("slurm")


@pytest.mark.parametrize(("count", "said"), [(1, "there is 1"), (2, "there are 2")])
def test_more_processes_than_gpus_is_a_sentence(monkeypatch, count, said):
    taken = []
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    monkeypatch.setattr("torch.cuda.set_device", taken.append)
    with pytest.raises(ConfigError, match=f"process 3 .*{said}; .*nproc-per-node"):
        meeting._take_gpu(2)
    meeting._take_gpu(count - 1)
    assert taken == [count - 1]
