"""CMIM around a classifier: every pixel has the class of its image."""

import pytest
import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import cmim.encoders  # noqa: F401 - registers the names used below
import tasks.classification  # noqa: F401
from cmim.contrast.pairs import pick_labels
from cmim.models import CMIM, full_precision_twin

LABELS = (0, 1, 1, 2)


def task_model() -> dict:
    return dict(
        type="ImageClassifier",
        backbone=dict(type="BinaryResNet", depth=18, base_channels=4),
        head=dict(type="LinearHead", in_channels=32, num_classes=3),
    )


def samples(labels=LABELS) -> list[SegDataSample]:
    made = [SegDataSample() for _ in labels]
    for sample, label in zip(made, labels, strict=True):
        sample.set_data(dict(gt_label=label))
    return made


@pytest.fixture
def twin_checkpoint(tmp_path):
    torch.manual_seed(1)
    twin = MODELS.build(full_precision_twin(task_model()))
    torch.save(twin.state_dict(), tmp_path / "twin.pth")
    return str(tmp_path / "twin.pth")


def test_twin_keeps_the_head():
    assert full_precision_twin(task_model())["head"] == task_model()["head"]
    assert full_precision_twin(task_model())["backbone"]["method"] == "fp"


@pytest.mark.parametrize("partner", ["latent", "teacher"])
@pytest.mark.parametrize("negatives", ["all", "other_class", "other_label"])
def test_the_loss_trains(partner, negatives, twin_checkpoint):
    torch.manual_seed(0)
    model = CMIM(task_model(), partner, twin_checkpoint, negatives=negatives)
    losses = model(torch.randn(4, 3, 64, 64), samples(), mode="loss")
    extra = [name for name in losses if name.startswith("cmim.")]
    assert len(extra) == (1 if partner == "latent" else 2)
    sum(losses[name] for name in extra).backward()
    reached = [p.grad for p in model.model.backbone.conv1.parameters()]
    assert all(g is not None and g.isfinite().all() and g.any() for g in reached)


def test_teacher_compares_the_last_two_stages(twin_checkpoint):
    model = CMIM(task_model(), "teacher", twin_checkpoint)
    assert list(model.contrast) == ["backbone-layer3", "backbone-layer4"]


def test_pixels_carry_the_class_of_their_image(monkeypatch):
    model = CMIM(task_model(), "latent", negatives="other_class", pixels=2)
    (loss,) = model.contrast.values()
    seen = []
    forward = loss.forward

    def record(binary, partner, labels):
        seen.append(labels)
        return forward(binary, partner, labels)

    monkeypatch.setattr(loss, "forward", record)
    model(torch.randn(4, 3, 64, 64), samples(), mode="loss")
    corners = torch.tensor([[0, 3]] * 4)
    picked = pick_labels(seen[0].exclude, corners, height=2, width=2)
    assert picked.tolist() == [0, 0, 1, 1, 1, 1, 2, 2]


def test_a_batch_of_one_class_has_no_negatives_and_no_nan():
    model = CMIM(task_model(), "latent", negatives="other_class")
    losses = model(torch.randn(2, 3, 64, 64), samples((1, 1)), mode="loss")
    assert all(value.isfinite() for value in losses.values())


def test_depth_negatives_are_refused():
    model = CMIM(task_model(), "latent", negatives="other_depth")
    with pytest.raises(ValueError, match="needs depth"):
        model(torch.randn(4, 3, 64, 64), samples(), mode="loss")


def numbered(labels=LABELS, first: int = 0) -> list[SegDataSample]:
    made = samples(labels)
    for place, sample in enumerate(made, first):
        sample.set_metainfo(dict(sample_idx=place))
    return made


def test_preset_of_the_released_code_trains_the_network_alone(twin_checkpoint):
    torch.manual_seed(0)
    loss = dict(name="cmim_released", rows=20, negatives=6)
    options = dict(preset="cmim_released", loss=loss, teacher=twin_checkpoint)
    model = CMIM(task_model(), **options)
    assert list(model.contrast) == ["backbone-layer4"]
    before = {k: v.clone() for k, v in model.contrast.state_dict().items()}
    for first in (0, 4):
        inputs = torch.randn(4, 3, 64, 64)
        losses = model(inputs, numbered(first=first), mode="loss")
        losses["cmim.loss_backbone.layer4"].backward()
    assert model.model.backbone.conv1.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.contrast.parameters())
    state = model.contrast.state_dict()
    moved = {k.split(".", 1)[1] for k, v in state.items() if not v.equal(before[k])}
    assert moved == {
        "partner_bank.rows", "binary_bank.rows", "row_classes", "log_normalizer"
    }  # fmt: skip
    resumed = CMIM(task_model(), **options)
    resumed.load_state_dict(model.state_dict())
    assert all(v.equal(state[k]) for k, v in resumed.contrast.state_dict().items())


def test_preset_of_the_released_code_says_what_samples_lack(twin_checkpoint):
    model = CMIM(task_model(), preset="cmim_released", teacher=twin_checkpoint)
    with pytest.raises(ValueError, match="sample_idx"):
        model(torch.randn(4, 3, 64, 64), samples(), mode="loss")
