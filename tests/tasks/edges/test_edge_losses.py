"""The balanced cross-entropy against a loop over images and pixels."""

import math

import pytest
import torch
from mmseg.registry import MODELS

import tasks.edges  # noqa: F401 - registers the loss
from tasks.edges.losses import _other_values, balanced_edge_loss


def pair(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4, 1, 5, 6, generator=generator, dtype=torch.float64)
    target = (torch.rand(4, 1, 5, 6, generator=generator) < 0.2).long()
    target[0, :, :3] = 255
    target[1] = 255
    target[2] = 0
    return logits.to(dtype), target


def naive(logits, target, fixed=None) -> float:
    values = []
    for image, truth in zip(logits.flatten(1), target.flatten(1), strict=True):
        pixels = [
            (x, t) for x, t in zip(image.tolist(), truth.tolist(), strict=True) if t < 2
        ]
        if not pixels:
            continue
        beta = fixed or sum(t == 0 for _, t in pixels) / len(pixels)
        total = 0.0
        for x, t in pixels:
            p = 1 / (1 + math.exp(-x))
            total -= beta * math.log(p) if t else (1 - beta) * math.log(1 - p)
        values.append(total / len(pixels))
    return sum(values) / len(values)


@pytest.mark.parametrize("fixed", [None, 0.95])
def test_mean_over_images_of_balanced_sums(fixed):
    logits, target = pair()
    loss = balanced_edge_loss(logits, target, fixed)
    assert loss.item() == pytest.approx(naive(logits, target, fixed))


def test_edges_weigh_as_much_as_all_others():
    """Undecided everywhere: half of the loss comes from the edges, however few."""
    target = torch.zeros(1, 1, 10, 10, dtype=torch.long)
    target[0, 0, 0, :7] = 1
    logits = torch.zeros(1, 1, 10, 10, requires_grad=True)
    balanced_edge_loss(logits, target).backward()
    edge, other = logits.grad[target == 1].sum(), logits.grad[target == 0].sum()
    assert edge.item() == pytest.approx(-other.item())


@pytest.mark.parametrize("junk", [math.nan, math.inf])
def test_unknown_pixels_get_no_gradient(junk):
    logits, target = pair()
    logits[target == 255] = junk
    logits.requires_grad_()
    loss = balanced_edge_loss(logits, target)
    loss.backward()
    assert loss.isfinite()
    assert not logits.grad[target == 255].any()
    assert logits.grad[3].abs().sum() > 0


def test_nothing_known_is_a_zero_with_a_graph():
    logits = torch.randn(1, 1, 3, 3, requires_grad=True)
    loss = balanced_edge_loss(logits, torch.full((1, 1, 3, 3), 255))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_large_logits_stay_finite():
    target = torch.tensor([1, 0]).view(1, 1, 1, 2)
    logits = torch.tensor([-500.0, 500.0]).view(1, 1, 1, 2)
    assert balanced_edge_loss(logits, target).item() == pytest.approx(250.0)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)]
)
def test_lower_precision_is_close(dtype, tolerance):
    exact = balanced_edge_loss(*pair()).item()
    loss = balanced_edge_loss(*pair(dtype))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact, rel=tolerance)


def test_module_weighs_and_names_its_loss():
    module = MODELS.build(dict(type="BalancedEdgeLoss", loss_weight=3.0))
    assert "loss" in module.loss_name
    assert module(*pair()).item() == pytest.approx(
        3 * balanced_edge_loss(*pair()).item()
    )


def test_other_shapes_and_weights_are_refused():
    with pytest.raises(ValueError, match="both must be the same"):
        balanced_edge_loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2).long())
    with pytest.raises(ValueError, match=r"must be in \(0, 1\)"):
        balanced_edge_loss(*pair(), edge_weight=1.0)


@pytest.mark.parametrize("value", [math.nan, 2.0, -1.0, 254.0])
def test_values_that_mean_nothing_are_refused(value):
    logits, target = pair()
    target = target.double()
    target[0, 0, 4, 5] = value
    with pytest.raises(
        ValueError, match="1 pixels of the true edges hold other values"
    ):
        balanced_edge_loss(logits, target)


def test_elsewhere_than_on_a_cpu_they_end_the_run_without_a_wait():
    truth = torch.zeros(1, 4, dtype=torch.uint8, device="meta")
    # A meta tensor has no values: reading one, as a wait would, is an error.
    assert _other_values(truth, truth == 0).shape == ()
