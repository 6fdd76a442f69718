"""Two processes train as one process on the joined batch does, for pair losses.

The other losses: ``test_two_ranks_every_loss.py``, and, with banks,
``test_two_ranks_banks.py``.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from cmim.contrast import (
    BatchLabels,
    available_losses,
    get_loss,
    layer_loss,
    loss_defaults,
)
from cmim.contrast.options import ContrastOptions
from cmim.contrast.pair_loss import PairLoss

pytestmark = [pytest.mark.ddp, pytest.mark.full]

RANKS, N, C, PARTNER, H, W, P, STEPS = 2, 4, 4, 6, 5, 6, 5, 2
# One figure for all anchors, so neither labels nor a queue.
WHOLE_BATCH_ONLY = {"interpolated"}
KINDS = ("plain", "queue", "labels", "labels_queue", "rank_unknown", "all_unknown")


def _build_default(name: str) -> torch.nn.Module:
    options = loss_defaults(name)
    options.pop("negatives", None)
    return get_loss(name)(C, C, ContrastOptions(**options))


NAMES = [
    name for name in available_losses() if isinstance(_build_default(name), PairLoss)
]
CASES = [
    (name, kind)
    for name in NAMES
    for kind in KINDS
    if kind == "plain" or name not in WHOLE_BATCH_ONLY
]


def make_loss(name: str, kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    options = {"projection": 3, "pixels": P, "temperature": 0.5, "chunk": 7}
    if kind.endswith("queue"):
        options["queue"] = 13
    shared = ContrastOptions(**options, stop_gradient=False)
    return get_loss(name)(C, PARTNER, shared).double()


def make_batch(kind: str, step: int) -> dict[str, Any]:
    random = torch.Generator().manual_seed(step)
    batch = dict(
        binary=torch.randn(N, C, H, W, generator=random, dtype=torch.float64),
        partner=torch.randn(N, PARTNER, H, W, generator=random, dtype=torch.float64),
        positions=torch.rand(N, H * W, generator=random).topk(P).indices,
        exclude=None,
    )
    if kind not in ("plain", "queue"):
        batch["exclude"] = torch.randint(-1, 3, (N, H, W), generator=random)
        unknown = {"rank_unknown": N // RANKS, "all_unknown": 0}.get(kind, N)
        batch["exclude"][unknown:] = -1
    return batch


def train(loss: torch.nn.Module, kind: str, part: slice) -> dict[str, Any]:
    """Value, gradients and state after the last step on a part of each batch."""
    module = getattr(loss, "module", loss)
    original = layer_loss.sample_positions
    for step in range(STEPS):
        batch = make_batch(kind, step)
        binary, partner = (
            batch[side][part].clone().requires_grad_() for side in ("binary", "partner")
        )
        layer_loss.sample_positions = lambda *_, b=batch: b["positions"][part]
        labels = None if batch["exclude"] is None else batch["exclude"][part]
        loss.zero_grad()
        value = loss(binary, partner, BatchLabels(exclude=labels))
        value.backward()
    layer_loss.sample_positions = original
    return dict(
        value=value.detach(),
        features=(binary.grad, partner.grad),
        parameters={k: p.grad.clone() for k, p in module.named_parameters()},
        state={k: v.clone() for k, v in module.named_buffers()},
    )


def run_rank(rank: int, port: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=RANKS)
    size = N // RANKS
    part = slice(rank * size, (rank + 1) * size)
    results = {}
    for case in CASES:
        loss = DistributedDataParallel(make_loss(*case))
        results[case] = train(loss, case[1], part)
    torch.save(results, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict]:
    """What each process found, all cases in one start of the processes."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(run_rank, (port, str(folder)), nprocs=RANKS)
    return [torch.load(folder / f"{rank}.pt") for rank in range(RANKS)]


def close(ours: Tensor, theirs: Tensor, **options) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9, **options)


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_two_ranks_equal_the_joined_batch(ranks, case):
    joined = train(make_loss(*case), case[1], slice(None))
    parts = [rank[case] for rank in ranks]
    close(sum(part["value"] for part in parts) / RANKS, joined["value"])
    for name, grad in joined["parameters"].items():
        for part in parts:  # averaged by DistributedDataParallel
            close(part["parameters"][name], grad)
    for side, grad in enumerate(joined["features"]):
        together = torch.cat([part["features"][side] for part in parts])
        close(together / RANKS, grad)
    for name, value in joined["state"].items():
        for part in parts:
            # MINE's average is NaN before the first batch with negatives.
            close(part["state"][name], value, equal_nan=True)
    trains = case[1] != "all_unknown"
    assert any(grad.abs().max() > 1e-4 for grad in joined["features"]) == trains


@pytest.mark.parametrize("case", [c for c in CASES if "unknown" in c[1]], ids="-".join)
def test_a_rank_without_known_labels_contributes_nothing(ranks, case):
    second = ranks[1][case]
    assert second["value"] == 0
    for grad in second["features"]:
        assert (grad == 0).all()
