"""Losses with a teacher of another family, and what is refused."""

from __future__ import annotations

import pytest
import torch
from foreign_teachers import (
    HINT,
    MOBILE,
    STUDENT,
    TEACHERS,
    build,
    losses_of,
    pictures,
    saved,
    task_model,
)
from mmseg.registry import MODELS

import cmim.encoders  # noqa: F401 - registers the encoders
import tasks.segmentation  # noqa: F401
from cmim.added_losses import FeatureDistillationLoss
from cmim.functional.alignment import resize_features
from cmim.functional.distillation import softened_divergence
from cmim.models import CMIM
from cmim.models.teacher_pairs import join_pairs, named_pairs, pair_modules


def test_a_twin_at_full_resolution_is_the_twin(tmp_path):
    plain = build(tmp_path, "twin")
    for options in (dict(teacher_resolution=1.0), dict(teacher_resolution=None)):
        other = build(tmp_path, "twin", **options)
        expected, found = losses_of(plain), losses_of(other)
        assert all(torch.equal(found[name], x) for name, x in expected.items())


def test_hints_learn_a_map_between_channels(tmp_path):
    pairs = {"backbone.layer3": "backbone.layer3", "backbone.layer4": "backbone.layer4"}
    model = build(
        tmp_path, "mobile", partner="none", added_losses=dict(HINT, taps=pairs)
    )
    loss = model.added_losses["feature_distillation"]
    assert isinstance(loss, FeatureDistillationLoss)
    own = [MODELS.build(STUDENT).backbone.stages[k].channels for k in (2, 3)]
    theirs = [
        MODELS.build(TEACHERS["mobile"]).backbone.stages[k].channels for k in (2, 3)
    ]
    shapes = [tuple(r.weight.shape) for r in loss.regressors.values()]
    assert shapes == [(b, a, 1, 1) for a, b in zip(own, theirs, strict=True)]
    losses_of(model)["cmim.loss_feature_distillation"].backward()
    assert all(r.weight.grad.any() for r in loss.regressors.values())
    # Saved and read again with the wrapper, and no part of the task model.
    other = build(
        tmp_path, "mobile", partner="none", added_losses=dict(HINT, taps=pairs)
    )
    other.load_state_dict(model.state_dict())
    assert not any("regressors" in name for name in model.model.state_dict())


def test_twins_need_no_map_between_channels(tmp_path):
    model = build(tmp_path, "twin", partner="none", added_losses=HINT)
    assert not model.added_losses["feature_distillation"].regressors


def test_logits_of_another_head_are_compared_on_the_students_grid(tmp_path):
    loss = dict(type="LogitDistillationLoss", weight=1.0)
    model = build(tmp_path, "tokens", partner="none", added_losses=loss)
    # The dropout of the student's head is that of its step.
    torch.manual_seed(0)
    with model._recorded.recording() as seen, torch.no_grad():
        model.model(pictures(), mode="tensor")
        theirs = model.teacher.network(pictures(), mode="tensor")
    ours = seen["decode_head.conv_seg"].binary
    assert theirs.shape[2:] != ours.shape[2:]
    expected = softened_divergence(ours, resize_features(theirs, tuple(ours.shape[2:])))
    found = losses_of(model)["cmim.loss_logit_distillation"]
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_logits_of_other_classes_are_refused_by_name(tmp_path):
    teacher = task_model(MOBILE, 64, classes=7)
    options = dict(teacher=saved(tmp_path, teacher), teacher_model=teacher)
    model = CMIM(STUDENT, "none", added_losses="LogitDistillationLoss", **options)
    with pytest.raises(ValueError, match=r"'logit_distillation'.*5 classes and.* 7;"):
        losses_of(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            dict(taps={"backbone.layer4": "backbone.stage4"}),
            r"pair 'backbone.layer4' with 'backbone.stage4', and the teacher has no "
            r"such module; the student's stages are backbone.layer1 \(stride 4\).*; "
            r"the teacher's are backbone.layers.0.2 \(stride 4\), .*3.2 \(stride 32\)",
        ),
        (
            dict(taps="backbone.layer4.1.binarize2"),
            r"no module 'backbone.layer4.1.binarize2', and only stages.*"
            r"name its partner, taps=\{'backbone.layer4.1.binarize2': MODULE\}; the "
            "student's stages are .*the teacher's are ",
        ),
        (
            dict(taps={"backbone.layer9": "backbone.layers.3.2"}),
            "'backbone.layer9' with a module of the teacher, and the model has no such "
            "module; its stages are backbone.layer1, ",
        ),
        (
            dict(taps={"backbone.layer*": "backbone.layers.3.2"}),
            "the model has no such module; its stages",
        ),
        (
            dict(
                partner="none",
                added_losses=dict(HINT, taps={"backbone.layer[4]": "backbone"}),
            ),
            "one module each, without patterns; read are backbone.layer4",
        ),
        (
            dict(partner="latent", taps={"backbone.layer4": "backbone.layers.3.2"}),
            "partner is 'latent': set partner='teacher'",
        ),
        (
            dict(
                taps={"backbone.layer4": "backbone.layers.3.2"},
                added_losses=dict(HINT, taps={"backbone.layer4": "backbone"}),
            ),
            "'backbone.layers.3.2' by taps and with 'backbone' by added loss "
            "'feature_distillation'; name one partner",
        ),
        (
            dict(added_losses=dict(type="ActivationSpreadLoss", taps={"a": "b"})),
            "'activation_spread': taps .* pair modules with a teacher's, and it reads",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_paired_is_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        build(tmp_path, "tokens", **options)


def test_a_partner_that_does_not_run_is_refused(tmp_path):
    """A stage behind the last one that the teacher's encoder returns."""
    teacher = task_model(dict(MOBILE, out_indices=(0, 1, 2)), 32)
    options = dict(teacher=saved(tmp_path, teacher), teacher_model=teacher)
    taps = {"backbone.layer4": "backbone.layer4"}
    with pytest.raises(ValueError, match=r"does not run .*layer4', the partner of"):
        CMIM(STUDENT, "teacher", taps=taps, **options)


def test_pairs_of_names():
    one = torch.nn.ModuleDict(dict(a=torch.nn.Identity(), b=torch.nn.Identity()))
    found = pair_modules(one, one, ["a", "b"], {"a": "b"})
    assert (found.partners, found.foreign) == (dict(a="b", b="b"), {"a"})
    # Named with its own name, it asks for its grid.
    assert pair_modules(one, one, ["a"], {"a": "a"}).foreign == {"a"}
    assert join_pairs([("x", {"a": "b"}), ("y", {"a": "b", "c": "d"})]) == dict(
        a="b", c="d"
    )
    assert named_pairs(["a"]) == {}
