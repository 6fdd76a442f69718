"""Every way to learn from a teacher, on a classifier: one pass of it a step."""

from __future__ import annotations

import pytest
import torch
import torchvision
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import cmim.encoders  # noqa: F401
import tasks.classification  # noqa: F401
from cmim.checkpoint import CheckpointError
from cmim.functional.distillation import softened_divergence
from cmim.models import CMIM, full_precision_twin

KD = dict(type="LogitDistillationLoss")
HINT = dict(type="FeatureDistillationLoss")
ATTENTION = dict(type="FeatureDistillationLoss", kind="attention")
LIPSCHITZ = dict(type="LipschitzLoss")
DISTRIBUTION = dict(type="DistributionalLoss")
CRD = dict(name="crd", rows=8, negatives=3)
WAYS = {
    "logit": dict(partner="none", added_losses=KD),
    "hint": dict(partner="none", added_losses=HINT),
    "attention": dict(partner="none", added_losses=ATTENTION),
    "matching": dict(partner="none", added_losses="attention_matching"),
    "crd": dict(partner="teacher", loss=CRD, taps="last_stage"),
    "lipschitz": dict(partner="none", added_losses=LIPSCHITZ),
    "lckd": dict(partner="none", added_losses="lckd"),
    "distributional": dict(partner="none", added_losses=DISTRIBUTION),
    "all": dict(
        partner="teacher",
        loss=CRD,
        taps="last_stage",
        added_losses=[KD, ATTENTION, LIPSCHITZ, DISTRIBUTION],
    ),
}


def task_model(encoder: str = "BinaryResNet", **options) -> dict:
    if encoder == "BinaryVGGSmall":
        head = dict(type="LinearHead", in_channels=16 * 16, num_classes=3, pool=False)
    else:
        head = dict(type="LinearHead", in_channels=16, num_classes=3)
        options = dict(depth=20, **options)
    backbone = dict(type=encoder, base_channels=4, **options)
    return dict(type="ImageClassifier", backbone=backbone, head=head)


def samples(labels=(0, 1, 1, 2)) -> list[SegDataSample]:
    made = [SegDataSample(metainfo=dict(sample_idx=k)) for k in range(len(labels))]
    for sample, label in zip(made, labels, strict=True):
        sample.set_data(dict(gt_label=label))
    return made


def save_twin(model: dict, path) -> str:
    torch.manual_seed(1)
    torch.save(
        {"state_dict": MODELS.build(full_precision_twin(model)).state_dict()}, path
    )
    return str(path)


@pytest.mark.parametrize("encoder", ["BinaryResNet", "BinaryVGGSmall"])
@pytest.mark.parametrize("way", WAYS)
def test_it_trains_with_one_pass_of_a_teacher_that_stands_still(way, encoder, tmp_path):
    config = task_model(encoder)
    torch.manual_seed(0)
    model = CMIM(config, teacher=save_twin(config, tmp_path / "t.pth"), **WAYS[way])
    model.train()
    teacher = model.teacher.network
    passes = []
    teacher.backbone.register_forward_hook(
        lambda module, args, output: passes.append(
            (
                module.training,
                torch.is_inference_mode_enabled(),
                torch.is_grad_enabled(),
            )
        )
    )
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(2):
        losses = model(torch.randn(4, 3, 32, 32), samples(), mode="loss")
        added = [value for name, value in losses.items() if name.startswith("cmim.")]
        assert len(added) == (5 if way == "all" else 1)
        assert all(value.isfinite() for value in added)
        optimizer.zero_grad()
        sum(added).backward()
        grads = [p.grad for n, p in model.model.backbone.named_parameters()]
        reached = [g for g in grads if g is not None and g.any()]
        assert len(reached) > len(grads) / 2
        optimizer.step()
        assert passes == [(False, True, False)] * (step + 1)
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())
    assert not any("teacher" in key for key in model.state_dict())


def test_logit_distillation_is_its_formula_on_the_logits(tmp_path):
    config = task_model()
    twin = save_twin(config, tmp_path / "twin.pth")
    loss = dict(KD, weight=0.3, temperature=2.0)
    model = CMIM(config, "none", teacher=twin, added_losses=loss)
    inputs = torch.randn(4, 3, 32, 32)
    losses = model(inputs, samples(), mode="loss")
    with torch.no_grad():
        # The forward pass in training mode: batch statistics, no dropout.
        ours = model.model(inputs)
        theirs = model.teacher.network(inputs)
    expected = 0.3 * softened_divergence(ours, theirs, 2.0)
    torch.testing.assert_close(
        losses["cmim.loss_logit_distillation"].detach(), expected
    )


def test_taps_of_feature_distillation():
    model = MODELS.build(task_model())
    stages = [f"backbone.layer{k}" for k in (1, 2, 3)]
    for config, names in [(HINT, stages[-1:]), (ATTENTION, stages)]:
        loss = MODELS.build(config)
        loss.attach(model)
        assert loss.names == names
    loss = MODELS.build(dict(HINT, taps="backbone.layer[12]"))
    loss.attach(model)
    assert loss.names == stages[:2]
    assert MODELS.build(HINT).weight == 100
    assert MODELS.build(ATTENTION).weight == 1000


@pytest.mark.parametrize("config", [HINT, ATTENTION, LIPSCHITZ, "lckd"], ids=str)
def test_stages_behind_the_head_are_not_read(config, tmp_path):
    network = task_model(out_indices=(0, 1))
    network["head"]["in_channels"] = 8
    twin = save_twin(network, tmp_path / "twin.pth")
    model = CMIM(network, "none", teacher=twin, added_losses=config)
    losses = model(torch.randn(4, 3, 32, 32), samples(), mode="loss")
    (added,) = [value for name, value in losses.items() if name.startswith("cmim.")]
    assert added > 0
    for taps in ("backbone.layer3", "backbone.layer[23]"):
        with pytest.raises(ValueError, match=r"not run backbone.layer3, .*nothing to"):
            CMIM(network, "teacher", teacher=twin, taps=taps)
    # The words mean stages that run.
    assert CMIM(network, "teacher", teacher=twin, taps="last_stage")
    behind = dict(HINT, taps="backbone.layer3")
    model = CMIM(network, "none", teacher=twin, added_losses=behind)
    with pytest.raises(ValueError, match=r"taps backbone.layer3, which the model does"):
        model(torch.randn(4, 3, 32, 32), samples(), mode="loss")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (dict(HINT, kind="flow"), "no kind 'flow'; choose from attention, hint"),
        (dict(KD, temperature=0), "temperature must be positive, got 0"),
        (dict(KD, weight=-1), "'logit_distillation': weight must not be negative"),
        (dict(type="KnowledgeLoss"), "choose from .*logit_distillation"),
    ],
)
def test_wrong_options_are_said(config, said):
    with pytest.raises(ValueError, match=said):
        CMIM(task_model(), "none", added_losses=config)


@pytest.mark.full
def test_a_deeper_teacher_in_torchvisions_names(tmp_path):
    torch.manual_seed(0)
    theirs = torchvision.models.resnet34(weights=None, num_classes=3).eval()
    torch.save(theirs.state_dict(), tmp_path / "resnet34.pth")
    network = dict(type="BinaryResNet", depth=34, method="fp", shortcuts="per_block")
    head = dict(type="LinearHead", in_channels=512, num_classes=3)
    larger = dict(type="ImageClassifier", backbone=network, head=head)
    options = dict(
        teacher=str(tmp_path / "resnet34.pth"),
        teacher_model=larger,
        added_losses=DISTRIBUTION,
    )
    model = CMIM(task_model(), "none", task_loss_weight=0, **options)
    inputs = torch.randn(4, 3, 32, 32)
    losses = model(inputs, samples(), mode="loss")
    with torch.no_grad():
        expected = theirs(inputs)
        found = model.teacher.network(inputs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert losses["loss_ce"] == 0
    assert losses["cmim.loss_distributional"].isfinite()
    # Equal names do not make another network torchvision's.
    for other in (dict(shortcuts="per_conv"), dict(method="bireal")):
        wrong = dict(larger, backbone=dict(network, **other))
        with pytest.raises(CheckpointError, match=r"is of torchvision's ResNet, which"):
            CMIM(task_model(), "none", **{**options, "teacher_model": wrong})
    # Other widths: the contrastive loss has one projection a side.
    wide = CMIM(task_model(), "teacher", taps="backbone.layer3", **options)
    losses = wide(inputs, samples(), mode="loss")
    assert losses["cmim.loss_backbone.layer3"].isfinite()
    shallow = dict(larger, backbone=dict(network, depth=18))
    with pytest.raises(CheckpointError, match="is of another model"):
        CMIM(task_model(), "none", **{**options, "teacher_model": shallow})
    colours = [
        dict(type="ImgDataPreprocessor", mean=[mean] * 3, std=[50.0] * 3)
        for mean in (100.0, 120.0)
    ]
    student, teacher = (
        dict(network, data_preprocessor=colour)
        for network, colour in zip((task_model(), larger), colours, strict=True)
    )
    # Each sees the same pixels by its own normalisation; see test_teacher_view.py.
    assert CMIM(student, "none", **options).teacher.view.normalisation is None
    other = CMIM(student, "none", **{**options, "teacher_model": teacher}).teacher
    pixels = torch.full((1, 3, 1, 1), 145.0)
    torch.testing.assert_close(
        other.view((pixels - 100.0) / 50.0), (pixels - 120.0) / 50.0
    )
