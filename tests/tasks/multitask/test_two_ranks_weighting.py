"""Two processes: dynamic weights of the joined batch; tasks that one of them lacks."""

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from joint_cases import batch, build, joint_model, total
from torch.nn.parallel import DistributedDataParallel

from tasks.multitask import DynamicWeights

pytestmark = [pytest.mark.ddp, pytest.mark.full]
TASKS, STEPS = ("seg", "depth"), 7


def losses(step: int, rank: int) -> list[torch.Tensor]:
    """The second process lacks the second task: the first has twice the mean."""
    second = 0.0 if rank else 2 * (2.0 - 1 / (step + 1))
    return [torch.tensor(1.0 + step * (rank + 1)), torch.tensor(second)]


def follow(rank: int, port: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    weighting = DynamicWeights(TASKS, steps_per_epoch=2)
    for step in range(STEPS):
        # The second process never has ground truth of the second task.
        weights, _ = weighting(losses(step, rank), [True, rank == 0])
    torch.save((torch.stack(list(weights)), weighting.state_dict()), f"{folder}/{rank}")
    torch.save(train_partly(rank), f"{folder}/model{rank}")
    dist.destroy_process_group()


def train_partly(rank: int) -> dict:
    """Two steps in which neither process has all tasks; weights afterwards."""
    model = build(joint_model(weighting="UncertaintyWeights")).train()
    joined = DistributedDataParallel(model, broadcast_buffers=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):
        data = batch(2)
        for sample in data["data_samples"]:
            for name in ("gt_depth_map", "gt_label") if rank else ("gt_sem_seg",):
                delattr(sample, name)
        losses = joined(**model.data_preprocessor(data, True), mode="loss")
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
    return {name: p.detach() for name, p in model.named_parameters()}


@pytest.mark.slow
def test_two_processes_weigh_alike(tmp_path: Path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(follow, (port, str(tmp_path)), nprocs=2)
    ours, theirs = (torch.load(tmp_path / str(rank)) for rank in range(2))
    assert torch.equal(ours[0], theirs[0])
    for name, value in ours[1].items():
        assert torch.equal(value, theirs[1][name]), name
    models = [torch.load(tmp_path / f"model{rank}") for rank in range(2)]
    for name, value in models[0].items():
        assert torch.equal(value, models[1][name]), name
    alone = DynamicWeights(TASKS, steps_per_epoch=2)
    for step in range(STEPS):
        first = 1.0 + 1.5 * step
        joined = [torch.tensor(first), torch.tensor(2.0 - 1 / (step + 1))]
        weights, _ = alone(joined, [True, True])
    assert torch.allclose(torch.stack(list(weights)), ours[0])
    assert not torch.allclose(ours[0], torch.ones(2))
