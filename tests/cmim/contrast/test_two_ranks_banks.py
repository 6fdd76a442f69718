"""Two processes with banks or MoCo's queue train as one on the joined batch does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from cmim.contrast import BatchLabels, ContrastOptions, get_loss, layer_loss

pytestmark = [pytest.mark.ddp, pytest.mark.full]

RANKS, N, C, H, W, P, STEPS, ROWS = 2, 4, 6, 3, 4, 5, 3, 12
BANKS: dict[str, dict] = {
    "npid": {"name": "npid", "rows": ROWS, "negatives": 9},
    "crd": {"name": "crd", "rows": ROWS, "negatives": 9},
    "crd_any": {"name": "crd", "rows": ROWS, "negatives": 9, "other_class": False},
    "cmim_released": {"name": "cmim_released", "rows": ROWS, "negatives": 9},
    "moco": {"name": "moco", "momentum": 0.5},
}
LABELLED = ("crd", "cmim_released", "moco")
KINDS = ("known", "rank_unknown", "all_unknown")
CASES = [(n, k) for n in BANKS for k in KINDS if k == "known" or n in LABELLED]


def make_loss(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    own: dict[str, Any] = {"level": "image"}
    if name == "moco":
        own = {"queue": 13, "pixels": P}
    else:
        own["stop_gradient"] = False
    options = ContrastOptions(projection=3, temperature=0.5, chunk=7, **own)
    return get_loss(BANKS[name])(C, C, options).double()


def make_batch(kind: str, step: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(step)
    pair = torch.randn(2, N, C, H, W, generator=random, dtype=torch.float64)
    classes = torch.randint(3, (N,), generator=random)
    unknown = {"rank_unknown": N // RANKS, "all_unknown": 0}.get(kind, N)
    classes[unknown:] = -1
    return dict(
        binary=pair[0],
        partner=pair[1],
        classes=classes,
        indices=torch.randperm(ROWS, generator=random)[:N],
        positions=torch.rand(N, H * W, generator=random).topk(P).indices,
    )


def train(loss: torch.nn.Module, kind: str, part: slice) -> dict[str, Any]:
    """Value, gradients and state after the last step on a part of each batch."""
    module = getattr(loss, "module", loss)
    original = layer_loss.sample_positions
    for step in range(STEPS):
        batch = {k: v[part] for k, v in make_batch(kind, step).items()}
        binary, partner = (
            batch[side].clone().requires_grad_() for side in ("binary", "partner")
        )
        layer_loss.sample_positions = lambda *_, b=batch: b["positions"]
        maps = batch["classes"].view(-1, 1, 1).expand(-1, H, W)
        labels = BatchLabels(maps, maps, batch["classes"], batch["indices"])
        loss.zero_grad()
        torch.manual_seed(step)  # of the draw of negatives
        value = loss(binary, partner, labels)
        value.backward()
    layer_loss.sample_positions = original
    return dict(
        value=value.detach(),
        features=[x.grad for x in (binary, partner) if x.grad is not None],
        parameters={
            k: p.grad.clone()
            for k, p in module.named_parameters()
            if p.grad is not None
        },
        state={k: v.clone() for k, v in module.state_dict().items()},
    )


def run_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=RANKS)
    size = N // RANKS
    part = slice(rank * size, (rank + 1) * size)
    results = {}
    for name, kind in CASES:
        loss = make_loss(name)
        if any(p.requires_grad for p in loss.parameters()):
            loss = DistributedDataParallel(loss)
        results[name, kind] = train(loss, kind, part)
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict]:
    """What each process found, all cases in one start of the processes."""
    folder = str(tmp_path_factory.mktemp("ranks"))
    torch.multiprocessing.spawn(run_rank, (folder,), nprocs=RANKS)
    return [torch.load(f"{folder}/{rank}.pt") for rank in range(RANKS)]


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_two_ranks_equal_the_joined_batch(ranks, case):
    joined = train(make_loss(case[0]), case[1], slice(None))
    parts = [rank[case] for rank in ranks]
    close(sum(part["value"] for part in parts) / RANKS, joined["value"])
    for part in parts:
        assert part["parameters"].keys() == joined["parameters"].keys()
        for name, grad in joined["parameters"].items():
            close(part["parameters"][name], grad)
        # Banks, queue, normalizers, and MoCo's projection of keys.
        for name, value in joined["state"].items():
            close(part["state"][name], value)
    for side, grad in enumerate(joined["features"]):
        together = torch.cat([part["features"][side] for part in parts])
        close(together / RANKS, grad)
    trains = case[1] != "all_unknown"
    assert any(grad.abs().max() > 1e-4 for grad in joined["features"]) == trains


@pytest.mark.parametrize(
    "case", [c for c in CASES if c[1] == "rank_unknown"], ids="-".join
)
def test_a_rank_without_known_classes_contributes_nothing(ranks, case):
    second = ranks[1][case]
    assert second["value"] == 0
    for grad in second["features"]:
        assert (grad == 0).all()
