"""AMDIM against loops over sources, images and places."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cmim.contrast import BatchLabels, ContrastOptions, get_loss
from cmim.functional.multiscale_nce import own_places_nce, soft_clip

N, C, H, W = 3, 4, 10, 35


def make_loss(clip: float = 20.0, penalty: float = 0.05, **options):
    torch.manual_seed(0)
    build = get_loss({"name": "amdim", "clip": clip, "penalty": penalty})
    return build(C, C + 1, ContrastOptions(projection=8, **options)).double()


def make_inputs(height: int = H, width: int = W) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    size = (height, width)
    binary = torch.randn(N, C, *size, generator=generator, dtype=torch.float64)
    partner = torch.randn(N, C + 1, *size, generator=generator, dtype=torch.float64)
    return 20 * binary, 20 * partner


def naive_places(features: Tensor, layer, scale: int) -> list[list[Tensor]]:
    """Embedded means of equal blocks (of a 10 x 35 map: 5 divides both, 7 overlaps)."""
    images = []
    for image in features:
        height, width = image.shape[1:]
        rows, columns = min(scale, height), min(scale, width)
        places = []
        for r in range(rows):
            for c in range(columns):
                top, bottom = r * height // rows, -(-(r + 1) * height // rows)
                left, right = c * width // columns, -(-(c + 1) * width // columns)
                block = image[:, top:bottom, left:right].mean(dim=(1, 2))
                places.append((layer.weight @ block + layer.bias).detach())
        images.append(places)
    return images


def naive_term(sources: list, targets: list, clip: float, penalty: float) -> float:
    losses, squares = [], []
    for n, places in enumerate(sources):
        for x in places:
            raw = [[float(x @ y) / math.sqrt(len(x)) for y in t] for t in targets]
            squares += [s * s for image in raw for s in image]
            scores = [[clip * math.tanh(s / clip) for s in image] for image in raw]
            rest = sum(
                math.exp(s) for m, image in enumerate(scores) if m != n for s in image
            )
            own = [math.log(math.exp(s) / (math.exp(s) + rest)) for s in scores[n]]
            losses.append(-sum(own) / len(own))
    return sum(losses) / len(losses) + penalty * sum(squares) / len(squares)


def naive_loss(loss, binary: Tensor, partner: Tensor) -> float:
    sides = [
        [naive_places(x, e, k) for e, k in zip(embed, (1, 5, 7), strict=True)]
        for x, embed in ((binary, loss.embed_binary), (partner, loss.embed_partner))
    ]
    total = 0.0
    for ours, theirs in (sides, sides[::-1]):
        for s, t in ((0, 1), (0, 2), (1, 1)):
            total += naive_term(ours[s], theirs[t], loss.clip, loss.penalty) / 2
    return total


@pytest.mark.parametrize(
    ("clip", "penalty", "size"),
    [(20.0, 0.05, (H, W)), (3.0, 0.0, (H, W)), (20.0, 0.05, (3, 6))],
    ids=str,
)
def test_equals_the_loops(clip, penalty, size):
    loss, features = make_loss(clip, penalty), make_inputs(*size)
    expected = naive_loss(loss, *features)
    assert loss(*features).item() == pytest.approx(expected, rel=1e-9)


def test_by_hand_with_scores_of_zero():
    """Each place among those of two other images: 25 or 49 an image."""
    loss = make_loss()
    for parameter in loss.parameters():
        torch.nn.init.zeros_(parameter)
    expected = 2 * math.log(51) + math.log(99)
    assert loss(*make_inputs()).item() == pytest.approx(expected)


def test_own_places_by_hand():
    """Scores log 2 and log 3 of the own image, log 4 and log 6 of the other: 10."""
    scores = torch.tensor([[[2.0, 3.0], [4.0, 6.0]]]).log()
    expected = (math.log(12 / 2) + math.log(13 / 3)) / 2
    assert own_places_nce(scores, torch.tensor([0])).item() == pytest.approx(expected)


def test_one_image_alone_gives_zero_and_finite_gradients():
    scores = torch.randn(3, 1, 4, requires_grad=True)
    value = own_places_nce(scores, torch.zeros(3).long())
    value.sum().backward()
    assert value.tolist() == [0, 0, 0]
    assert scores.grad.isfinite().all()


def test_the_clip_keeps_order_and_range():
    scores = torch.linspace(-100, 100, 41, dtype=torch.float64)
    clipped = soft_clip(scores, 20.0)
    assert (clipped.diff() > 0).all()
    assert clipped.abs().max() <= 20
    torch.testing.assert_close(soft_clip(scores / 1e4, 20.0), scores / 1e4)


def test_the_order_of_images_does_not_matter():
    loss, (binary, partner) = make_loss(), make_inputs()
    order = [2, 0, 1]
    torch.testing.assert_close(
        loss(binary[order], partner[order]), loss(binary, partner)
    )


def test_exchanging_the_sides_does_not_matter():
    loss = make_loss()
    ours, theirs = (
        [torch.randn(N, t, 8, dtype=torch.float64) for t in (1, 25, 49)]
        for _ in range(2)
    )
    torch.testing.assert_close(loss.contrast(ours, theirs), loss.contrast(theirs, ours))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_precision(dtype):
    loss, (binary, partner) = make_loss(), make_inputs()
    binary, partner = binary.to(dtype), partner.to(dtype)
    exact = loss(binary.double(), partner.double()).item()
    value = loss.float()(binary, partner)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact, rel=1e-4)


def test_labels_are_refused_with_what_to_set():
    labels = BatchLabels(exclude=torch.zeros(N, H, W).long())
    with pytest.raises(ValueError, match="negatives='all'"):
        make_loss()(*make_inputs(), labels)


@pytest.mark.parametrize("wrong", [{"clip": 0.0}, {"penalty": -1.0}])
def test_options_out_of_range(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must"):
        make_loss(**wrong)
