"""Two processes have the loss of the joined batch, of anchors at all places."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from loss_cases import (
    C,
    H,
    N,
    W,
    make_inputs,
    make_labels,
    takes_labels,
    used_by,
)
from torch import Tensor

from cmim.contrast import BatchLabels, ContrastOptions, get_loss
from cmim.contrast.pairs import IGNORED

# Losses whose value is no matter of chance when all pixels are anchors.
JOINED = (
    "amdim", {"name": "dim", "gamma": 0.0}, "donsker_varadhan", "info_nce",
    "interpolated", "jensen_shannon", "mine", "nce", "nwj", "simsiam", "sup_con",
    {"name": "sup_con", "views": "both"}, "tuba", "wcord",
)  # fmt: skip


def joined_parts(entry: str | dict, part: slice) -> tuple[float, dict[str, Tensor]]:
    """Value and gradients of a process's images; of rank 0 all labels are unknown."""
    name = entry if isinstance(entry, str) else entry["name"]
    torch.manual_seed(0)
    used = used_by(name)
    options = dict(projection=8, pixels=H * W, temperature=1.0, stop_gradient=False)
    shared = ContrastOptions(**{k: v for k, v in options.items() if k in used})
    loss = get_loss(entry)(C, C, shared).double()
    labels = make_labels(exclude=True)
    assert labels.exclude is not None
    labels.exclude[: N // 2] = IGNORED
    exclude = labels.exclude[part] if takes_labels(name) else None
    binary, partner = (x.double()[part] for x in make_inputs())
    value = loss(binary, partner, BatchLabels(exclude=exclude))
    value.backward()
    grads = {n: p.grad for n, p in loss.named_parameters() if p.grad is not None}
    return value.item(), grads


def run_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    # Before the group exists: asking a loss what it takes calls no collective.
    for entry in JOINED:
        takes_labels(entry if isinstance(entry, str) else entry["name"])
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    part = slice(0, N // 2) if rank == 0 else slice(N // 2, N)
    results = [joined_parts(entry, part) for entry in JOINED]
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory) -> list:
    folder = str(tmp_path_factory.mktemp("ranks"))
    torch.multiprocessing.spawn(run_rank, (folder,), nprocs=2)
    return [torch.load(f"{folder}/{rank}.pt") for rank in range(2)]


@pytest.mark.full
@pytest.mark.ddp
@pytest.mark.parametrize("k", range(len(JOINED)), ids=[str(e) for e in JOINED])
def test_two_processes_have_the_loss_and_gradients_of_the_joined_batch(two_ranks, k):
    expected, expected_grads = joined_parts(JOINED[k], slice(None))
    (value, grads), (other, other_grads) = (ranks[k] for ranks in two_ranks)
    assert expected != 0
    assert (value + other) / 2 == pytest.approx(expected, rel=1e-9)
    assert grads.keys() == other_grads.keys() == expected_grads.keys()
    for name, grad in expected_grads.items():
        torch.testing.assert_close((grads[name] + other_grads[name]) / 2, grad)
