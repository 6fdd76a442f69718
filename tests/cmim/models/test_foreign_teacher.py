"""A teacher of another family: pairs, grids, channels, and what is refused."""

from __future__ import annotations

import pytest
import torch
from foreign_teachers import (
    ATTENTION,
    HINT,
    TEACHERS,
    build,
    losses_of,
    pictures,
)
from mmseg.registry import MODELS
from torch import Tensor

import cmim.encoders  # noqa: F401 - registers the encoders
import tasks.segmentation  # noqa: F401
from cmim.contrast import ActivationTaps
from cmim.functional.alignment import resize_features
from cmim.functional.nearest import resize_nearest
from cmim.models import CMIM, teacher_pairs
from cmim.models.teacher import tapped_outputs
from cmim.stages import stages_of


@pytest.mark.parametrize("family", ["mobile", "tokens"])
@pytest.mark.parametrize("resolution", [None, 0.5])
def test_it_trains_and_the_gradient_reaches_the_student_alone(
    family, resolution, tmp_path
):
    pairs = {f"backbone.layer{k}": stage for k, stage in _stages(family)}
    model = build(
        tmp_path,
        family,
        taps=pairs,
        teacher_resolution=resolution,
        added_losses=[HINT, "LipschitzLoss", "LogitDistillationLoss"],
    )
    teacher = model.teacher.network
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):
        losses = losses_of(model)
        added = {name: x for name, x in losses.items() if name.startswith("cmim.")}
        assert len(added) == 7
        assert all(value.isfinite() and value > 0 for value in added.values())
        optimizer.zero_grad()
        sum(added.values()).backward()
        optimizer.step()
    assert model.model.backbone.conv1.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in teacher.parameters())
    assert not teacher.training
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any("teacher" in name for name in model.state_dict())


def _stages(family: str) -> list[tuple[int, str]]:
    stages = stages_of(MODELS.build(TEACHERS[family]))
    return list(enumerate((stage.name for stage in stages), start=1))


def by_hand(model: CMIM, names: dict[str, str]) -> dict[str, Tensor]:
    """The teacher's maps in one more pass, and nothing else done to them."""
    network = model.teacher.network
    taps = ActivationTaps(network, list(names.values()))
    with torch.no_grad():
        found = tapped_outputs(network, taps, pictures())
    return {own: found[other] for own, other in names.items()}


def grids(model: CMIM) -> dict:
    taps = ActivationTaps(model.model, list(model.teacher.pairs.partners))
    with taps.recording() as seen, torch.no_grad():
        model.model.extract_feat(pictures())
    return seen


def test_named_partners_are_read_on_the_students_grid(tmp_path):
    pairs = {"backbone.layer2": "backbone.layer1", "backbone.layer4": "backbone.layer4"}
    model = build(tmp_path, "mobile", taps=pairs)
    found = model.teacher.features(pictures(), grids(model))
    expected = by_hand(model, pairs)
    sizes = {name: x.shape[2:] for name, x in expected.items()}
    assert sizes == {"backbone.layer2": (16, 24), "backbone.layer4": (2, 3)}
    for name, maps in expected.items():
        assert found[name].shape[2:] == (8, 12)
        assert torch.equal(found[name], resize_features(maps, (8, 12)))


def test_equal_names_are_read_as_they_were(tmp_path):
    """Without pairs maps keep their grid, and the contrastive loss takes nearest."""
    model = build(tmp_path, "mobile", weight=1.0)
    names = {f"backbone.layer{k}": f"backbone.layer{k}" for k in (3, 4)}
    found = model.teacher.features(pictures(), grids(model))
    for name, maps in by_hand(model, names).items():
        assert torch.equal(found[name], maps)
    losses = losses_of(model)
    maps = by_hand(model, names)
    torch.manual_seed(0)
    with model._recorded.recording() as seen:
        model.model(pictures(), mode="tensor")
    for name, x in maps.items():
        loss = model.contrast[name.replace(".", "-")]
        partner = resize_nearest(x, (8, 12))
        value = loss(seen[name].binary, partner, model._labels([], x.device))
        assert value.item() == losses[f"cmim.loss_{name}"].item()


@pytest.fixture
def said(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(
        teacher_pairs, "print_log", lambda text, **_: lines.append(text)
    )
    return lines


def test_stages_of_other_names_are_matched_by_stride(tmp_path, said):
    """The student's strides are 4, 8, 8 and 8; the teacher's 4, 8, 16 and 32."""
    model = build(tmp_path, "tokens", added_losses=ATTENTION)
    assert model.teacher.pairs.partners == {
        "backbone.layer1": "backbone.layers.0.2",
        "backbone.layer2": "backbone.layers.1.2",
        "backbone.layer3": "backbone.layers.1.2",
        "backbone.layer4": "backbone.layers.1.2",
    }
    assert len(said) == 1
    assert "backbone.layer4 (stride 8) with backbone.layers.1.2 (stride 8)" in said[0]
    found = model.teacher.features(pictures(), grids(model))
    assert found["backbone.layer1"].shape == (2, 8, 16, 24)
    assert found["backbone.layer4"].shape == (2, 8, 8, 12)
    values = [x for name, x in losses_of(model).items() if name.startswith("cmim.")]
    assert len(values) == 3
    assert all(value.isfinite() for value in values)


def test_a_smaller_picture_is_brought_back_to_the_students_grid(tmp_path):
    """Of the twin, too: tokens and maps alike are those of the smaller picture."""
    for family, name in [
        ("twin", "backbone.layer4"),
        ("tokens", "backbone.layers.3.2"),
    ]:
        pairs = {"backbone.layer4": name}
        model = build(tmp_path, family, taps=pairs, teacher_resolution=0.5)
        network, taps = (
            model.teacher.network,
            ActivationTaps(model.teacher.network, [name]),
        )
        with torch.no_grad():
            small = resize_features(pictures(), (32, 48))
            maps = tapped_outputs(network, taps, small)[name]
        if family == "tokens":
            # One row of one and a half patches of 32 pixels, the half one counts.
            maps = maps.mT.unflatten(2, (1, 2))
        found = model.teacher.features(pictures(), grids(model))["backbone.layer4"]
        assert torch.equal(found, resize_features(maps, (8, 12)))
