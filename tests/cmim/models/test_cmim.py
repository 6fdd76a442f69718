"""The wrapper: invisible at inference, one loss entry per tap, nothing leaks."""

import copy

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS

import cmim.encoders  # noqa: F401 - registers the encoder
import tasks.depth
import tasks.segmentation  # noqa: F401
from cmim.bench.step import synthetic_batch
from cmim.checkpoint import CheckpointError, load_task_weights, structure
from cmim.models import CMIM, full_precision_twin


def task_model(head: str = "DeepLabHead", method: str = "bireal") -> dict:
    depth = head == "DepthHead"
    return ConfigDict(
        type="DepthEstimator" if depth else "SegmentationModel",
        data_preprocessor=dict(
            type=SegDataPreProcessor, mean=[127.0] * 3, std=[60.0] * 3, size_divisor=1
        ),
        backbone=dict(
            type="BinaryResNet", depth=18, method=method, base_channels=8,
            output_stride=8,
        ),
        decode_head=dict(
            type=head, in_channels=64, channels=8, dilations=(1, 2),
            **({} if depth else dict(num_classes=40)),
        ),
        test_cfg=dict(mode="whole"),
    )  # fmt: skip


def batch(height: int = 32, width: int = 48, size: int = 2) -> dict:
    config = Config(
        dict(
            model=dict(backbone={}, decode_head=dict(num_classes=40)),
            train_dataloader=dict(
                batch_size=size,
                dataset=dict(pipeline=[dict(crop_size=(height, width))]),
            ),
        )
    )
    return synthetic_batch(config)


def losses_of(model: torch.nn.Module, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    return model(**model.data_preprocessor(batch(), True), mode="loss")


@pytest.fixture
def twin_checkpoint(tmp_path) -> str:
    torch.manual_seed(3)
    twin = MODELS.build(full_precision_twin(task_model()))
    twin.init_weights()
    path = tmp_path / "twin.pth"
    torch.save({"state_dict": twin.state_dict()}, path)
    return str(path)


@pytest.mark.parametrize("partner", ["none", "latent", "teacher"])
@pytest.mark.parametrize("head", ["DeepLabHead", "DepthHead"])
def test_predictions_are_those_of_the_unwrapped_model(partner, head, tmp_path):
    twin = MODELS.build(full_precision_twin(task_model(head)))
    torch.save({"state_dict": twin.state_dict()}, tmp_path / "twin.pth")
    torch.manual_seed(0)
    wrapped = CMIM(task_model(head), partner, teacher=str(tmp_path / "twin.pth"))
    torch.save({"state_dict": wrapped.state_dict()}, tmp_path / "wrapped.pth")
    plain = MODELS.build(task_model(head))
    load_task_weights(plain, tmp_path / "wrapped.pth")
    x = torch.randn(2, 3, 40, 56)
    with torch.inference_mode():
        ours, theirs = wrapped.eval()(x), plain.eval()(x)
        assert torch.equal(ours, theirs)
        data = {"inputs": batch()["inputs"], "data_samples": batch()["data_samples"]}
        key = "pred_depth_map" if head == "DepthHead" else "pred_sem_seg"
        ours = wrapped.test_step(copy.deepcopy(data))
        theirs = plain.test_step(copy.deepcopy(data))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a.get(key).data, b.get(key).data)


@pytest.mark.parametrize("partner", ["none", "latent"])
def test_initial_weights_do_not_depend_on_the_partner(partner):
    def weights(partner: str) -> dict:
        torch.manual_seed(7)
        model = CMIM(task_model(), partner)
        model.init_weights()
        return model.model.state_dict()

    torch.manual_seed(7)
    plain = MODELS.build(task_model())
    plain.init_weights()
    for name, value in weights(partner).items():
        assert torch.equal(value, plain.state_dict()[name]), name


def test_state_dict_has_the_task_model_s_names_and_round_trips():
    model = CMIM(task_model(), "latent", queue=5)
    state = model.state_dict()
    own = {k for k in state if not k.startswith("contrast.")}
    assert own == set(model.model.state_dict())
    assert any(k.endswith("queue.rows") for k in state)
    other = CMIM(task_model(), "latent", queue=5)
    other.load_state_dict(state)
    for name, value in other.state_dict().items():
        assert torch.equal(value, state[name])


def test_latent_adds_one_loss_on_the_last_binarizer_and_reaches_its_input():
    model = CMIM(task_model(), "latent")
    losses = losses_of(model)
    added = [k for k in losses if k.startswith("cmim.loss_")]
    assert added == ["cmim.loss_backbone.layer4.1.binarize2"]
    losses[added[0]].backward()
    assert model.model.backbone.conv1.weight.grad.abs().sum() > 0
    last = model.model.backbone.layer4[1].conv2.weight
    assert last.grad is None  # after the tap


def test_weights_follow_lambda_and_beta():
    taps = ["backbone.layer3.1.binarize2", "backbone.layer4.1.binarize2"]
    names = [f"cmim.loss_{t}" for t in taps]
    torch.manual_seed(0)
    plain = CMIM(task_model(), "latent", taps=taps, weight=1.0, beta=1.0)
    torch.manual_seed(0)
    scaled = CMIM(task_model(), "latent", taps=taps, weight=3.0, beta=2.0)
    scaled.load_state_dict(plain.state_dict())
    one, other = losses_of(plain), losses_of(scaled)
    assert other[names[0]].item() == pytest.approx(1.5 * one[names[0]].item())
    assert other[names[1]].item() == pytest.approx(3.0 * one[names[1]].item())


def test_teacher_is_frozen_unseen_and_moves_along(twin_checkpoint):
    model = CMIM(task_model(), "teacher", teacher=twin_checkpoint)
    teacher = model.teacher.network
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    model.train()
    losses = losses_of(model)
    sum(v for k, v in losses.items() if "loss" in k).backward()
    assert not teacher.training
    assert all(p.grad is None for p in teacher.parameters())
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name]), name
    ids = {id(p) for p in teacher.parameters()}
    assert not ids & {id(p) for p in model.parameters()}
    assert not any("teacher" in k for k in model.state_dict())
    model.double()
    assert next(teacher.parameters()).dtype == torch.float64
    assert {k for k in losses if k.startswith("cmim")} == {
        "cmim.loss_backbone.layer3",
        "cmim.loss_backbone.layer4",
    }


def test_depth_bins_replace_classes_where_there_are_none():
    model = CMIM(task_model("DepthHead"), "latent")
    data = model.data_preprocessor(batch(), True)
    for sample in data["data_samples"]:
        del sample.gt_sem_seg
    losses = model(**data, mode="loss")
    assert torch.isfinite(losses["cmim.loss_backbone.layer4.1.binarize2"])


def test_classes_ignore_void():
    """An image of void and one of a single class: nothing known to tell apart."""
    model = CMIM(task_model(), "latent")
    data = model.data_preprocessor(batch(), True)
    for sample, value in zip(data["data_samples"], (255, 3), strict=True):
        sample.gt_sem_seg.data.fill_(value)
    losses = model(**data, mode="loss")
    assert losses["cmim.loss_backbone.layer4.1.binarize2"].item() == 0.0
    data["data_samples"][0].gt_sem_seg.data.fill_(4)
    losses = model(**data, mode="loss")
    assert losses["cmim.loss_backbone.layer4.1.binarize2"].item() > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(partner="self"), "choose from none, latent, teacher"),
        (dict(negatives="some"), "choose from all"),
        (dict(weight=-1.0), "must not be negative"),
        (dict(beta=0.5), "at least 1"),
        (dict(taps=["backbone.nothing"]), "matches no module"),
        (dict(taps=["backbone.layer4"]), "taps activation binarizers"),
        (dict(partner="teacher"), "needs the trained full-precision twin"),
        (dict(partner="teacher", teacher="gone.pth"), "does not exist; train"),
        (dict(temperature=0), "temperature must be positive"),
    ],
)
def test_wrong_options_are_said(options, said):
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        CMIM(task_model(), **options)


def test_latent_needs_a_binarizer():
    with pytest.raises(ValueError, match="choose a binary method"):
        CMIM(task_model(method="fp"), "latent")


@pytest.mark.parametrize(
    ("head", "negatives", "gone", "said"),
    [
        ("DeepLabHead", "other_depth", "gt_depth_map", "needs depth"),
        ("DepthHead", "other_class", "gt_sem_seg", "needs labels"),
    ],
)
def test_negatives_without_their_data_are_said(head, negatives, gone, said):
    model = CMIM(task_model(head), "latent", negatives=negatives)
    data = model.data_preprocessor(batch(), True)
    for sample in data["data_samples"]:
        delattr(sample, gone)
    with pytest.raises(ValueError, match=said):
        model(**data, mode="loss")


def test_one_pattern_may_be_a_string_and_none_taps_nothing():
    assert CMIM(task_model(), "latent", taps="backbone.layer4.*.binarize2").contrast
    assert not CMIM(task_model(), "none", taps="backbone.layer4").contrast


def test_the_twin_of_a_binary_head_is_full_precision_too():
    model = task_model()
    model.decode_head.method = "bireal"
    twin = full_precision_twin(model)
    assert (twin.backbone.method, twin.decode_head.method) == ("fp", "fp")


def test_a_binary_checkpoint_is_no_teacher(tmp_path):
    student = MODELS.build(task_model())
    saved = {"state_dict": student.state_dict(), "structure": structure(student)}
    torch.save(saved, tmp_path / "student.pth")
    with pytest.raises(CheckpointError, match="is of another model"):
        CMIM(task_model(), "teacher", teacher=str(tmp_path / "student.pth"))


@pytest.mark.parametrize("partner", ["none", "latent"])
def test_losses_of_binarizers_are_one_entry_that_trains_them(partner):
    torch.manual_seed(0)
    model = CMIM(task_model(method="lns"), partner).train()
    losses = losses_of(model)
    loss = losses["binarizers.loss"]
    total, log = model.parse_losses(losses)
    assert log["binarizers.loss"] == loss
    others = sum(v for k, v in losses.items() if "loss" in k and k != "binarizers.loss")
    torch.testing.assert_close(total, others + loss)
    name, first = next(
        (n, p) for n, p in model.named_parameters() if ".mapping.0." in n
    )
    (grad,) = torch.autograd.grad(loss, first)
    assert grad.abs().sum() > 0, name
    assert "binarizers.loss" not in losses_of(CMIM(task_model(), partner))
