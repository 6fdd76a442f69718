"""Two processes have the losses and gradients of the joined batch, whatever is void."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.structures import BaseDataElement as DataSample
from torch import Tensor, nn

from cmim.engine.joined_batch_norm import join_batch_norms
from cmim.task import get_task
from tasks.classification import LinearHead
from tasks.depth.losses import DepthBerHuLoss, DepthL1Loss, DepthSILogLoss
from tasks.edges.losses import BalancedEdgeLoss
from tasks.normals.losses import NormalAngularLoss, NormalCosineLoss
from tasks.segmentation.losses import CrossEntropyLoss, FocalLoss

pytestmark = [pytest.mark.ddp, pytest.mark.full]

RANKS, N, CLASSES, SIZE = 2, 4, 3, (5, 6)
# How many of the joined batch's samples have any ground truth, from the first one on.
KNOWN = {"all": N, "one process": N // RANKS, "none": 0}
KNOWN_ONLY = dict(avg_non_ignore=True)


def weighted(**options) -> CrossEntropyLoss:
    return CrossEntropyLoss(class_weight=[1.0, 3.0, 0.5], **options)


# A loss, what its ground truth is, and the channels of its predictions.
LOSSES: dict[str, tuple[Callable[..., nn.Module], dict, str, int]] = {
    "cross_entropy": (CrossEntropyLoss, KNOWN_ONLY, "classes", CLASSES),
    "all_pixels": (CrossEntropyLoss, {}, "classes", CLASSES),
    "sigmoid": (
        CrossEntropyLoss,
        dict(use_sigmoid=True, **KNOWN_ONLY),
        "classes",
        CLASSES,
    ),
    "weighted": (weighted, KNOWN_ONLY, "classes", CLASSES),
    "weighted_plain": (weighted, {}, "classes", CLASSES),
    "focal": (FocalLoss, {}, "classes", CLASSES),
    "silog": (DepthSILogLoss, {}, "depth", 1),
    "berhu": (DepthBerHuLoss, {}, "depth", 1),
    "l1": (DepthL1Loss, {}, "depth", 1),
    "edge": (BalancedEdgeLoss, {}, "edges", 1),
    "cosine": (NormalCosineLoss, {}, "normals", 3),
    "angle": (NormalAngularLoss, {}, "normals", 3),
}


def make_batch(kind: str, channels: int, known: int) -> tuple[Tensor, Tensor]:
    """Predictions, and ground truth of which each sample has another share."""
    random = torch.Generator().manual_seed(7)
    prediction = torch.randn(N, channels, *SIZE, generator=random, dtype=torch.float64)
    place = torch.rand(N, *SIZE, generator=random)
    there = place < torch.linspace(0.9, 0.1, N).view(N, 1, 1)
    there[known:] = False
    classes = torch.randint(0, CLASSES, (N, *SIZE), generator=random)
    if kind == "classes":
        return prediction, torch.where(there, classes, 255)
    if kind == "edges":
        return prediction, torch.where(there, classes.clamp(max=1), 255)[:, None]
    truth = torch.rand(N, channels, *SIZE, generator=random, dtype=torch.float64) + 0.5
    if kind == "normals":
        truth = nn.functional.normalize(truth - 1, dim=1)
    else:
        prediction = prediction.exp()
    return prediction, truth * there[:, None]


def loss_and_gradient(name: str, known: int, part: slice) -> tuple[Tensor, Tensor]:
    build, made_with, kind, channels = LOSSES[name]
    prediction, truth = make_batch(kind, channels, known)
    # A weight that all processes share, as a network's.
    weight = torch.ones(channels, 1, 1, dtype=torch.float64, requires_grad=True)
    options = {"ignore_index": 255} if kind == "classes" else {}
    value = build(**made_with)(prediction[part] * weight, truth[part], **options)
    value.backward()
    return value.detach(), weight.grad


def scene_gradient(known: int, part: slice) -> tuple[Tensor, Tensor]:
    """The same of one label an image, through the task."""
    random = torch.Generator().manual_seed(3)
    features = torch.randn(N, 4, 2, 2, generator=random, dtype=torch.float64)
    torch.manual_seed(0)
    head = LinearHead(4, 3).double()
    rows = range(*part.indices(N))
    samples = [DataSample(gt_label=k % 3) if k < known else DataSample() for k in rows]
    losses = get_task("scene").loss(head, (features[part],), samples)
    losses["loss_ce"].backward()
    return losses["loss_ce"].detach(), head.fc.weight.grad


def normalised(part: slice) -> dict[str, Tensor]:
    """A batch-norm's output, gradients and running statistics."""
    random = torch.Generator().manual_seed(5)
    x, upstream = torch.randn(2, N, 3, 4, 5, generator=random, dtype=torch.float64)
    x = (3 * x[part] + 10).requires_grad_()
    norm = nn.BatchNorm2d(3).double()
    assert join_batch_norms(norm) == 1
    nn.init.uniform_(norm.weight, 0.5, 2, generator=torch.Generator().manual_seed(1))
    (norm(x) * upstream[part]).sum().backward()
    found = dict(output=norm(x), x=x.grad, weight=norm.weight.grad, bias=norm.bias.grad)
    state = {name: value.clone() for name, value in norm.named_buffers()}
    return {name: value.detach() for name, value in found.items()} | state


def compute(part: slice) -> dict:
    found: dict = {"norm": normalised(part)}
    for kind, known in KNOWN.items():
        for name in LOSSES:
            found[name, kind] = loss_and_gradient(name, known, part)
        found["scene", kind] = scene_gradient(known, part)
    return found


def run_rank(rank: int, port: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=RANKS)
    size = N // RANKS
    found = compute(slice(rank * size, (rank + 1) * size))
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


@pytest.fixture(scope="module")
def joined() -> dict:
    return compute(slice(0, N))


def close(ours: Tensor, theirs: Tensor) -> None:
    # mmseg's loss with a sigmoid is float32 whatever it is given.
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9, check_dtype=False)


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("name", [*LOSSES, "scene"])
def test_the_average_is_the_loss_of_the_joined_batch(ranks, joined, name, kind):
    values, gradients = zip(*(found[name, kind] for found in ranks), strict=True)
    value, gradient = joined[name, kind]
    close(sum(values) / RANKS, value)
    close(sum(gradients) / RANKS, gradient)
    assert (value == 0) == (kind == "none")


def test_batch_norm_is_that_of_the_joined_batch(ranks, joined):
    ours, expected = [found["norm"] for found in ranks], joined["norm"]
    for name in ("output", "x"):
        close(torch.cat([part[name] for part in ours]), expected[name])
    for name in ("weight", "bias"):
        close(sum(part[name] for part in ours), expected[name])
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for part in ours:
            close(part[name], expected[name])
