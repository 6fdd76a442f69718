"""Two processes place the same thresholds, gains and biases: those of the first one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from convert_cases import Small, pictures
from torch.nn.parallel import DistributedDataParallel

from cmim.convert import convert, place_converted

pytestmark = [pytest.mark.ddp, pytest.mark.full]

RANKS = 2
WAYS = ("together", "alone")


def placed_state(way: str, rank: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = Small()
    # Statistics of the whole batch differ between processes; these do not.
    network.norm.eval()
    x = (1 + rank) * pictures(3, 3, 12, 14, seed=rank)
    binary, _ = convert(network, "reactnet", example=x)
    if way == "together":
        place_converted(binary, lambda: binary(x))
    elif dist.is_initialized():
        DistributedDataParallel(binary)(x)
    else:
        binary(x)
    return binary.state_dict()


def run_rank(rank: int, port: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=RANKS)
    found = {way: placed_state(way, rank) for way in WAYS}
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(run_rank, (port, str(folder)), nprocs=RANKS)
    return [torch.load(folder / f"{rank}.pt") for rank in range(RANKS)]


@pytest.mark.parametrize("way", WAYS)
def test_all_take_the_values_of_the_first(ranks, way):
    alone, other = placed_state(way, 0), placed_state(way, 1)
    assert not torch.equal(alone["conv.gain"], other["conv.gain"])
    for state in ranks:
        for key, value in alone.items():
            if not key.startswith("norm."):
                torch.testing.assert_close(state[way][key], value, msg=key)
    for key, value in ranks[0][way].items():
        assert torch.equal(ranks[1][way][key], value), key
