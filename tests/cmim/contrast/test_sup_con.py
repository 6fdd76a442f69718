"""SupCon against loops over anchors, positives and candidates."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cmim.contrast import BatchLabels, ContrastOptions, get_loss
from cmim.contrast.pairs import IGNORED
from cmim.functional.supervised_contrastive import (
    sum_positives,
    supervised_contrastive_loss,
)

N, C, H, W = 3, 4, 3, 3


def make_loss(views: str = "cross", **options):
    torch.manual_seed(0)
    shared = {"projection": 3, "pixels": H * W, "temperature": 0.5, **options}
    return get_loss({"name": "sup_con", "views": views})(
        C, C, ContrastOptions(**shared)
    ).double()


def make_inputs(seed: int = 1) -> tuple[Tensor, Tensor, BatchLabels]:
    generator = torch.Generator().manual_seed(seed)
    partner = torch.randn(N, C, H, W, generator=generator, dtype=torch.float64)
    binary = torch.randn(N, C, H, W, generator=generator, dtype=torch.float64)
    labels = torch.randint(-1, 3, (N, H, W), generator=generator)
    return binary, partner, BatchLabels(exclude=labels)


def project(layer, features: Tensor) -> Tensor:
    pixels = features.permute(0, 2, 3, 1).reshape(-1, C)
    return F.normalize(pixels @ layer.weight.T + layer.bias, dim=1).detach()


def naive_side(anchors, labels, candidates, tau) -> list[float]:
    """Losses of known anchors; a candidate is (vector, label, index if own side)."""
    losses = []
    for i, anchor in enumerate(anchors):
        if labels[i] == IGNORED:
            continue
        scores, positives = [], []
        for vector, label, index in candidates:
            if label == IGNORED or index == i:
                continue
            score = float(anchor @ vector) / tau
            scores.append(score)
            if label == labels[i]:
                positives.append(score)
        total = sum(math.exp(s) for s in scores)
        logs = [math.log(math.exp(p) / total) for p in positives]
        losses.append(-sum(logs) / len(logs))
    return losses


def naive_loss(loss, binary, partner, labels, past=()) -> float:
    tau, flat = loss.options.temperature, labels.exclude.flatten().tolist()
    z_binary = project(loss.project_binary, binary)
    z_partner = project(loss.project_partner, partner)
    sides = []
    for own, other, more in ((z_binary, z_partner, past), (z_partner, z_binary, ())):
        candidates = [(v, k, None) for v, k in zip(other, flat, strict=True)]
        candidates += [(v, k, None) for v, k in more]
        if loss.views == "both":
            candidates += [(v, flat[i], i) for i, v in enumerate(own)]
        sides.append(naive_side(own, flat, candidates, tau))
    return sum(map(sum, sides)) / sum(map(len, sides))


@pytest.mark.parametrize("chunk", [4, 1000])
@pytest.mark.parametrize("views", ["cross", "both"])
@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_equals_the_loops(views, temperature, chunk):
    loss = make_loss(views, temperature=temperature, chunk=chunk)
    binary, partner, labels = make_inputs()
    expected = naive_loss(loss, binary, partner, labels)
    value = loss(binary, partner, labels)
    assert value.item() == pytest.approx(expected, rel=1e-9)


def test_past_samples_of_the_same_label_are_positives_too():
    loss, first, second = make_loss(queue=100), make_inputs(1), make_inputs(2)
    loss(*first)
    past = list(
        zip(
            project(loss.project_partner, first[1]),
            first[2].exclude.flatten().tolist(),
            strict=True,
        )
    )
    expected = naive_loss(loss, *second, past=past)
    value = loss(*second)
    value.backward()
    assert value.item() == pytest.approx(expected, rel=1e-9)


def test_by_hand_two_classes_of_two():
    """All cosines 0: the log of the candidates, whoever is positive."""
    positive_mean, log_sum = torch.zeros(2), torch.tensor([4.0, 4.0]).log()
    losses = supervised_contrastive_loss(positive_mean, log_sum, torch.ones(2) > 0)
    torch.testing.assert_close(losses, torch.full((2,), math.log(4)))


def test_by_hand_with_equal_features():
    """Everything is alike: log of the known candidates."""
    features = torch.ones(2, C, 1, 2).double()
    labels = BatchLabels(exclude=torch.tensor([[[0, 1]], [[1, IGNORED]]]))
    for views, candidates in (("cross", 3), ("both", 5)):
        loss = make_loss(views)
        loss.project_partner.load_state_dict(loss.project_binary.state_dict())
        value = loss(features, features, labels)
        assert value.item() == pytest.approx(math.log(candidates))


@pytest.mark.parametrize("views", ["cross", "both"])
def test_names_of_classes_and_the_order_of_images_do_not_matter(views):
    loss, (binary, partner, labels) = make_loss(views), make_inputs()
    expected = loss(binary, partner, labels)
    order = [2, 0, 1]
    renamed = torch.where(labels.exclude >= 0, 7 - 2 * labels.exclude, IGNORED)[order]
    value = loss(binary[order], partner[order], BatchLabels(exclude=renamed))
    torch.testing.assert_close(value, expected)


def test_samples_of_unknown_label_have_no_part():
    loss, (binary, partner, labels) = make_loss(), make_inputs()
    expected = loss(binary, partner, labels)
    unknown = (labels.exclude == IGNORED)[:, None]
    assert unknown.any()
    value = loss(
        torch.where(unknown, 9 - binary, binary),
        torch.where(unknown, 3 * partner + 1, partner),
        labels,
    )
    torch.testing.assert_close(value, expected)


def test_image_level_reads_the_classes():
    loss, (binary, partner, _) = make_loss(level="image"), make_inputs()
    classes = torch.tensor([0, 1, 0])
    value = loss(binary, partner, BatchLabels(classes=classes))
    same = loss(binary, partner, BatchLabels(exclude=classes.view(-1, 1, 1)))
    assert value.item() == same.item() > 0
    other = loss(binary, partner, BatchLabels(classes=torch.tensor([0, 1, 2])))
    assert other.item() != value.item()


@pytest.mark.parametrize("level", ["image", "pixel"])
def test_without_labels_it_says_what_to_set(level):
    binary, partner, _ = make_inputs()
    classes = torch.zeros(N).long() if level == "pixel" else None
    with pytest.raises(ValueError, match="negatives='other_label'"):
        make_loss(level=level)(binary, partner, BatchLabels(classes=classes))


def test_unknown_views():
    with pytest.raises(ValueError, match="views 'all' is unknown; choose from cross"):
        make_loss("all")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_precision_of_the_formula(dtype):
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(50, 8, generator=generator).to(dtype)
    mask = torch.rand(6, 50, generator=generator) < 0.5
    total, count = sum_positives(vectors, lambda a, b: mask[:, a:b], chunk=7)
    exact, _ = sum_positives(vectors.double(), lambda a, b: mask[:, a:b])
    assert total.dtype == count.dtype == dtype
    assert count.tolist() == mask.sum(dim=1).tolist()
    tolerance = 1e-5 if dtype == torch.float32 else 0.1
    torch.testing.assert_close(total.double(), exact, rtol=0, atol=tolerance)
