"""LCKD by its name: exact singular values, a hand value, invariances, dtypes."""

from __future__ import annotations

import pytest
import torch
from mmseg.registry import MODELS
from torch import Tensor

from cmim.added_losses import AddedLosses, LipschitzDistillationLoss, LipschitzLoss
from cmim.contrast.taps import Tap
from cmim.encoders import BinaryResNet
from cmim.stages import stage_names

SHAPES = [(3, 8, 8), (6, 4, 4), (5, 2, 2)]


def maps(seed: int, shapes=SHAPES, dtype=torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        3 * torch.randn(2, *shape, generator=generator, dtype=torch.float64).to(dtype)
        for shape in shapes
    ]


def loss_of(ours: list[Tensor], theirs: list[Tensor], **options) -> Tensor:
    loss = LipschitzDistillationLoss(**options)
    loss.names = [f"backbone.layer{k}" for k, _ in enumerate(ours)]
    student = {n: Tap(x, x) for n, x in zip(loss.names, ours, strict=True)}
    return loss(student, dict(zip(loss.names, theirs, strict=True)))


def naive(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Singular values of explicit matrices, pair by pair and sample by sample."""
    total, last = 0.0, len(ours) - 1
    for k in range(last):
        for n in range(2):
            values = []
            for first, second in ((x[k][n], x[k + 1][n]) for x in (ours, theirs)):
                pooled = torch.nn.functional.avg_pool2d(first, 2)
                matrix = pooled.flatten(1) @ second.flatten(1).T
                values.append(torch.linalg.svdvals(matrix)[0] / second[0].numel())
            total += (values[0] - values[1]).item() ** 2 / 2 / 2 ** (last - k)
    return total


def test_it_compares_singular_values_of_unclipped_features_of_any_width():
    theirs = maps(1, [(4, 8, 8), (9, 4, 4), (7, 2, 2)])
    ours = maps(0)
    exact = loss_of(ours, theirs, weight=0.5, iterations=300).item()
    assert exact == pytest.approx(0.5 * naive(ours, theirs))
    assert loss_of(ours, theirs, weight=0.5).item() == pytest.approx(exact, rel=0.05)


def test_by_hand():
    ours = [torch.full((1, 1, 1, 1), value) for value in (2.0, 3.0)]
    theirs = [torch.ones(1, 1, 1, 1)] * 2
    # (6 - 1)^2 / 2, by the default weight 1 / 200.
    assert loss_of(ours, theirs).item() == pytest.approx(12.5 / 200)


def test_turned_channels_and_shuffled_pixels_change_nothing():
    ours, theirs = maps(0, [(4, 3, 3)] * 3), maps(1, [(4, 3, 3)] * 3)
    turn, _ = torch.linalg.qr(maps(2, [(4, 4)])[0][0])
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    moved = [
        (turn @ x.flatten(2))[..., order].unflatten(2, (3, 3)).contiguous()
        for x in ours
    ]
    expected = loss_of(ours, theirs, iterations=500)
    torch.testing.assert_close(loss_of(moved, theirs, iterations=500), expected)
    assert loss_of(ours, ours) == 0 < expected


def test_features_of_zeros_have_a_finite_gradient():
    ours = [torch.zeros(2, *shape, requires_grad=True) for shape in SHAPES]
    loss = loss_of(ours, maps(1, dtype=torch.float32))
    loss.backward()
    assert loss > 0
    assert all(x.grad.isfinite().all() for x in ours)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)]
)
def test_lower_precision(dtype, tolerance):
    exact = loss_of(maps(0), maps(1))
    found = loss_of(maps(0, dtype=dtype), maps(1, dtype=dtype))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=0)


@pytest.mark.full
def test_its_short_name():
    model = torch.nn.Module()
    model.backbone = BinaryResNet(base_channels=4)
    both = AddedLosses(["lckd", "LipschitzLoss"], model)
    assert type(both["lckd"]) is LipschitzDistillationLoss
    assert type(both["lipschitz"]) is LipschitzLoss
    assert both["lckd"].names == [f"backbone.layer{k}" for k in (1, 2, 3, 4)]
    assert not list(both["lckd"].parameters())
    long = MODELS.build(dict(type="LipschitzDistillationLoss", weight=2.0))
    assert (long.name, long.weight, long.clip) == ("lckd", 2.0, None)
    with pytest.raises(ValueError, match=r"is listed twice"):
        AddedLosses(["lckd", "LipschitzDistillationLoss"], model)


def test_stages_that_do_not_run_are_not_read():
    model = torch.nn.Module()
    model.backbone = BinaryResNet(base_channels=4, out_indices=(0, 2))
    assert stage_names(model) == [f"backbone.layer{k}" for k in (1, 2, 3)]
    model.backbone.out_indices = (0,)
    with pytest.raises(ValueError, match=r"'lckd' compares consecutive .* found 1"):
        AddedLosses("lckd", model)
