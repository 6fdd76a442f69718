"""A teacher of another family: pairs, grids, channels, and what is refused."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

import cmim.encoders  # noqa: F401 - registers the encoders
import tasks.segmentation  # noqa: F401
from cmim.added_losses import FeatureDistillationLoss
from cmim.contrast import ActivationTaps
from cmim.functional.alignment import resize_features
from cmim.functional.distillation import softened_divergence
from cmim.functional.nearest import resize_nearest
from cmim.models import CMIM, full_precision_twin, teacher_pairs
from cmim.models.teacher import tapped_outputs
from cmim.models.teacher_pairs import join_pairs, named_pairs, pair_modules
from cmim.stages import stages_of

HINT = dict(type="FeatureDistillationLoss")
ATTENTION = dict(type="FeatureDistillationLoss", kind="attention")
RESNET = dict(type="BinaryResNet", depth=18, base_channels=4, output_stride=8)
MOBILE = dict(type="BinaryMobileNet", base_channels=2, method="fp")
TOKENS = dict(
    type="MixVisionTransformer", embed_dims=8, num_heads=[1] * 4, num_layers=[1] * 4
)


def task_model(backbone: dict, channels: int, classes: int = 5) -> ConfigDict:
    return ConfigDict(
        type="SegmentationModel",
        backbone=backbone,
        decode_head=dict(
            type="DeepLabHead",
            in_channels=channels,
            in_index=-1,
            channels=4,
            dilations=(1,),
            num_classes=classes,
        ),
        test_cfg=dict(mode="whole"),
    )


STUDENT = task_model(dict(RESNET, method="bireal"), 32)
TEACHERS = {
    "mobile": task_model(MOBILE, 64),
    "tokens": task_model(TOKENS, 8),
    "twin": full_precision_twin(STUDENT),
}


def saved(tmp_path, model: dict) -> str:
    torch.manual_seed(3)
    torch.save({"state_dict": MODELS.build(model).state_dict()}, tmp_path / "t.pth")
    return str(tmp_path / "t.pth")


def pictures() -> Tensor:
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def losses_of(model: CMIM) -> dict[str, Tensor]:
    samples = []
    for k in range(2):
        sample = SegDataSample(metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96)))
        labels = torch.randint(
            5, (1, 64, 96), generator=torch.Generator().manual_seed(k)
        )
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    torch.manual_seed(0)
    return model(pictures(), samples, mode="loss")


def build(tmp_path, family: str, **options) -> CMIM:
    teacher = TEACHERS[family]
    torch.manual_seed(0)
    options = {"partner": "teacher", "taps": "last_two_stages", **options}
    path = saved(tmp_path, teacher)
    return CMIM(STUDENT, teacher=path, teacher_model=teacher, **options).train()


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
