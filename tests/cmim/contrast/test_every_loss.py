"""What every contrastive loss promises, whoever wrote it."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from cmim.contrast import (
    BatchLabels,
    ContrastOptions,
    available_losses,
    get_loss,
    loss_defaults,
)
from cmim.contrast.layer_loss import LayerLoss
from cmim.contrast.pairs import IGNORED

N, C, H, W = 4, 6, 8, 8
every_loss = pytest.mark.parametrize("name", available_losses())
# A value of each shared option other than its default, to see whether it is refused.
OTHER: dict = dict(
    projection=16, level="image", pixels=9, sampling="edges", temperature=0.7, queue=6,
    gather=False, stop_gradient=False, chunk=7,
)  # fmt: skip


def build(name: str, seed: int = 0, **options) -> LayerLoss:
    torch.manual_seed(seed)
    shared = {"projection": 8, "pixels": 5, **shared_defaults(name), **options}
    used = used_by(name)
    kept = {k: v for k, v in shared.items() if k in used}
    return get_loss(name)(C, C, ContrastOptions(**kept))


@cache
def used_by(name: str) -> frozenset[str]:
    return type(get_loss(name)(C, C, ContrastOptions(**shared_defaults(name)))).used


def shared_defaults(name: str) -> dict:
    """What the loss brings along, without ``negatives``, which is no shared option."""
    return {k: v for k, v in loss_defaults(name).items() if k != "negatives"}


@cache
def takes_labels(name: str) -> bool:
    """Whether label maps are accepted; a loss that refuses them says what to set."""
    try:
        build(name)(*make_inputs(), make_labels(exclude=True))
    except ValueError as error:
        if "negatives='all'" not in str(error):
            raise
        return False
    return True


@cache
def labels_matter(name: str) -> bool:
    """Whether label maps change the value."""
    if not takes_labels(name):
        return False
    labelled = value_of(build(name), make_inputs(), make_labels(exclude=True))
    try:
        plain = value_of(build(name), make_inputs(), make_labels(exclude=False))
    except ValueError:
        return True
    return plain.item() != labelled.item()


def make_inputs(
    seed: int = 1, dtype: torch.dtype = torch.float32, images: int = N, size: int = H
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    partner = torch.randn(images, C, size, size, generator=generator)
    noise = torch.randn(partner.shape, generator=generator)
    binary = torch.where(partner + noise < 0, -1.0, 1.0)
    return binary.to(dtype), partner.to(dtype)


def make_labels(exclude: bool, images: int = N, unknown: bool = False) -> BatchLabels:
    maps = torch.arange(images * H * W).view(images, H, W) // 3 % 4 - 1
    maps = torch.full_like(maps, IGNORED) if unknown else maps
    classes = torch.arange(images) % 2
    classes = torch.full_like(classes, IGNORED) if unknown else classes
    return BatchLabels(
        exclude=maps if exclude else None,
        regions=maps,
        classes=classes,
        indices=torch.arange(images) + 3,
    )


def labels_for(name: str, **options) -> BatchLabels:
    return make_labels(exclude=takes_labels(name), **options)


def value_of(loss: LayerLoss, inputs, labels: BatchLabels, seed: int = 5) -> Tensor:
    torch.manual_seed(seed)
    return loss(*inputs, labels)


@every_loss
def test_value_and_gradients_are_finite(name):
    loss, (binary, partner) = build(name), make_inputs()
    value_of(loss, make_inputs(2), labels_for(name))  # a queue is empty at first
    binary.requires_grad_()
    value = value_of(loss, (binary, partner), labels_for(name))
    value.backward()
    assert value.shape == ()
    assert value.isfinite()
    assert binary.grad.isfinite().all()
    assert binary.grad.abs().sum() > 0
    grads = [p.grad for p in loss.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)


@every_loss
def test_every_parameter_that_learns_gets_a_gradient(name):
    """Or distributed training waits for it for ever."""
    loss, (binary, partner) = build(name), make_inputs()
    value_of(loss, (binary.requires_grad_(), partner), labels_for(name)).backward()
    assert not [
        n for n, p in loss.named_parameters() if p.requires_grad and p.grad is None
    ]


@every_loss
def test_the_seed_decides(name):
    values = [
        value_of(build(name), make_inputs(), labels_for(name), seed).item()
        for seed in (5, 5)
    ]
    assert values[0] == values[1]


@every_loss
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_other_precisions_of_features_give_a_float32_loss(name, dtype, autocast):
    binary, partner = make_inputs(dtype=dtype)
    labels = labels_for(name)
    expected = value_of(build(name), (binary.float(), partner.float()), labels)
    binary.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        value = value_of(build(name), (binary, partner), labels)
    value.backward()
    assert value.dtype == torch.float32
    assert binary.grad.dtype == dtype
    assert binary.grad.isfinite().all()
    # bfloat16 itself has 3 digits: what is left is where features are averaged.
    assert value.item() == pytest.approx(expected.item(), rel=2e-3, abs=2e-3)


@every_loss
def test_float64_says_the_same(name):
    expected = value_of(build(name), make_inputs(), labels_for(name))
    wide = build(name).double()
    value = value_of(wide, make_inputs(dtype=torch.float64), labels_for(name))
    assert value.dtype == torch.float64
    if name != "dim":  # its noise is drawn in the dtype of the features
        assert value.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)


@every_loss
@pytest.mark.parametrize("trained", [True, False])
def test_saved_state_gives_the_same_next_values(name, trained):
    loss, labels = build(name), labels_for(name)
    if trained:
        value_of(loss, make_inputs(2), labels)
    state = copy.deepcopy(loss.state_dict())
    resumed = build(name, seed=99)
    value_of(resumed, make_inputs(5), labels)  # what it was before must not matter
    resumed.load_state_dict(state)
    for seed in (3, 4):
        values = [value_of(x, make_inputs(seed), labels) for x in (loss, resumed)]
        assert values[0].item() == values[1].item()


@every_loss
def test_evaluation_changes_no_state(name):
    # What refuses labels needs every candidate, and may refuse a queue for it.
    loss = build(name, queue=6 if takes_labels(name) else 0)
    value_of(loss, make_inputs(2), labels_for(name))
    loss.eval()
    before = copy.deepcopy(loss.state_dict())
    first = value_of(loss, make_inputs(3), labels_for(name))
    second = value_of(loss, make_inputs(3), labels_for(name))
    assert first.item() == second.item()
    for key, tensor in loss.state_dict().items():
        torch.testing.assert_close(tensor, before[key], rtol=0, atol=0, equal_nan=True)


@every_loss
def test_unknown_labels_only(name):
    """Nothing is learned where labels decide; nothing breaks where they do not."""
    loss, (binary, partner) = build(name), make_inputs()
    binary.requires_grad_()
    value = value_of(loss, (binary, partner), labels_for(name, unknown=True))
    value.backward()
    assert value.isfinite()
    assert binary.grad.isfinite().all()
    if labels_matter(name):
        assert value.item() == 0
        assert (binary.grad == 0).all()
        grads = [p.grad for p in loss.parameters() if p.grad is not None]
        assert all((grad == 0).all() for grad in grads)
    # What it remembers of such a batch must not spoil the next.
    assert value_of(loss, make_inputs(2), labels_for(name)).isfinite()


@every_loss
@pytest.mark.parametrize("option", sorted(OTHER))
def test_options_it_does_not_use_are_refused_by_name(name, option):
    options = ContrastOptions(**{**shared_defaults(name), option: OTHER[option]})
    if option in used_by(name):
        get_loss(name)(C, C, options)
    else:
        with pytest.raises(ValueError, match=f"{name!r} does not use {option}"):
            get_loss(name)(C, C, options)


@every_loss
def test_image_level_works_where_it_is_accepted(name):
    if "level" not in used_by(name):
        pytest.skip("refused, as tested above")
    loss, (binary, partner) = build(name, level="image"), make_inputs()
    binary.requires_grad_()
    classes = torch.arange(N) % 2
    exclude = classes.view(-1, 1, 1) if takes_labels(name) else None
    labels = BatchLabels(exclude, None, classes, torch.arange(N))
    value = value_of(loss, (binary, partner), labels)
    value.backward()
    assert value.isfinite()
    assert binary.grad.isfinite().all()


@every_loss
@pytest.mark.parametrize(("images", "size"), [(1, H), (N, 1), (1, 1)], ids=str)
def test_a_single_image_or_pixel_does_not_crash(name, images, size):
    loss = build(name)
    binary, partner = make_inputs(images=images, size=size)
    binary.requires_grad_()
    value = value_of(loss, (binary, partner), labels_for(name, images=images))
    value.backward()
    assert value.isfinite()
    assert binary.grad.isfinite().all()
    grads = [p.grad for p in loss.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)


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
