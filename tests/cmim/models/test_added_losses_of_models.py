"""Added losses on the wrapper: one pass a network, one entry a loss, nothing left."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor, nn

import cmim.encoders  # noqa: F401 - registers the encoder
import tasks.depth
import tasks.segmentation  # noqa: F401
from cmim.added_losses import ActivationSpreadLoss
from cmim.bench.step import synthetic_batch
from cmim.checkpoint import load_task_weights
from cmim.hooks import SetProgress
from cmim.models import CMIM, full_precision_twin

SPREAD = dict(type="ActivationSpreadLoss")
LIPSCHITZ = dict(type="LipschitzLoss")
DISTRIBUTION = dict(type="DistributionalLoss")
ALL = [SPREAD, LIPSCHITZ, DISTRIBUTION]
ENTRIES = [
    f"cmim.loss_{n}" for n in ("activation_spread", "lipschitz", "distributional")
]
LAST_BINARIZER = "cmim.loss_backbone.layer4.1.binarize2"


def task_model(head: str = "DeepLabHead", method: str | dict = "bireal") -> ConfigDict:
    depth = head == "DepthHead"
    classes = {} if depth else dict(num_classes=5)
    return ConfigDict(
        type="DepthEstimator" if depth else "SegmentationModel",
        data_preprocessor=dict(
            type=SegDataPreProcessor, mean=[127.0] * 3, std=[60.0] * 3, size_divisor=1
        ),
        backbone=dict(
            type="BinaryResNet", method=method, base_channels=4, output_stride=8
        ),
        decode_head=dict(
            type=head, in_channels=32, channels=4, dilations=(1,), **classes
        ),
        test_cfg=dict(mode="whole"),
    )


@pytest.fixture
def twin(tmp_path) -> str:
    """Checkpoint of the segmentation twin."""
    torch.manual_seed(3)
    network = MODELS.build(full_precision_twin(task_model()))
    network.init_weights()
    torch.save({"state_dict": network.state_dict()}, tmp_path / "twin.pth")
    return str(tmp_path / "twin.pth")


def losses_of(model: CMIM) -> dict[str, Tensor]:
    pipeline = [dict(crop_size=(32, 48))]
    loader = dict(batch_size=2, dataset=dict(pipeline=pipeline))
    head = dict(backbone={}, decode_head=dict(num_classes=5))
    data = synthetic_batch(Config(dict(model=head, train_dataloader=loader)))
    torch.manual_seed(0)
    return model(**model.data_preprocessor(data, True), mode="loss")


def added(losses: dict) -> list[str]:
    return [name for name in losses if name.startswith("cmim.")]


def count_passes(network: nn.Module) -> list[int]:
    """Grows by one a forward pass of the stem."""
    passes: list[int] = []
    stem = network.backbone.conv1
    stem.register_forward_hook(lambda *unused: passes.append(1))
    return passes


@pytest.mark.parametrize("partner", ["none", "latent", "teacher"])
def test_every_loss_adds_one_entry_and_each_network_runs_once(partner, twin):
    model = CMIM(task_model(), partner, teacher=twin, added_losses=ALL)
    student = count_passes(model.model)
    teacher = count_passes(model.teacher.network)
    losses = losses_of(model)
    contrasted = {
        "none": [],
        "latent": [LAST_BINARIZER],
        "teacher": ["cmim.loss_backbone.layer3", "cmim.loss_backbone.layer4"],
    }
    assert added(losses) == [*contrasted[partner], *ENTRIES]
    assert len(student) == len(teacher) == 1
    sum(losses[name] for name in ENTRIES).backward()
    assert all(losses[name] > 0 for name in ENTRIES)
    assert all(losses[name].isfinite() for name in ENTRIES)
    assert model.model.backbone.conv1.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.teacher.network.parameters())


def test_the_contrastive_loss_is_the_same_with_and_without_the_others(twin):
    torch.manual_seed(0)
    alone = CMIM(task_model(), "latent")
    together = CMIM(task_model(), "latent", teacher=twin, added_losses=ALL)
    together.load_state_dict(alone.state_dict(), strict=False)
    expected = losses_of(alone)
    found = losses_of(together)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_a_loss_without_a_teacher_loads_none():
    model = CMIM(task_model(), "none", teacher="gone.pth", added_losses=[SPREAD])
    assert model.teacher is None
    assert added(losses_of(model)) == ENTRIES[:1]


@pytest.mark.parametrize("config", [LIPSCHITZ, DISTRIBUTION], ids=lambda c: c["type"])
def test_a_missing_teacher_is_said_with_what_needs_it(config):
    for teacher, said in [
        (None, "needs the trained full-pr"),
        ("gone.pth", "gone.pth"),
    ]:
        with pytest.raises((ValueError, FileNotFoundError), match=said) as error:
            CMIM(task_model(), "none", teacher=teacher, added_losses=[config])
        name = MODELS.get(config["type"]).name
        assert f"added loss '{name}'" in str(error.value)


@pytest.mark.full
@pytest.mark.parametrize("partner", ["none", "teacher"])
@pytest.mark.parametrize("added_losses", [(), ALL], ids=["plain", "all"])
def test_the_task_model_starts_from_the_same_weights(partner, added_losses, twin):
    torch.manual_seed(7)
    plain = MODELS.build(task_model())
    plain.init_weights()
    torch.manual_seed(7)
    model = CMIM(task_model(), partner, teacher=twin, added_losses=added_losses)
    model.init_weights()
    for name, value in model.model.state_dict().items():
        assert torch.equal(value, plain.state_dict()[name]), name


def test_state_keeps_the_task_models_names_and_round_trips(twin, tmp_path):
    model = CMIM(task_model(), "none", teacher=twin, added_losses=ALL)
    own = set(model.model.state_dict())
    model.added_losses["lipschitz"].scale.data.uniform_()
    state = model.state_dict()
    assert set(state) - own == {"added_losses.lipschitz.scale"}
    other = CMIM(task_model(), "none", teacher=twin, added_losses=ALL)
    other.load_state_dict(state)
    assert all(torch.equal(v, state[k]) for k, v in other.state_dict().items())
    torch.save({"state_dict": state}, tmp_path / "wrapped.pth")
    plain = MODELS.build(task_model())
    load_task_weights(plain, tmp_path / "wrapped.pth")
    x = torch.randn(1, 3, 40, 56)
    with torch.inference_mode():
        assert torch.equal(model.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_task_losses_are_weighed_and_the_added_ones_are_not(weight, twin):
    torch.manual_seed(0)
    plain = CMIM(task_model(), "none", teacher=twin, added_losses=[DISTRIBUTION])
    torch.manual_seed(0)
    model = CMIM(
        task_model(),
        "none",
        teacher=twin,
        added_losses=[DISTRIBUTION],
        task_loss_weight=weight,
    )
    model.load_state_dict(plain.state_dict())
    ours, full = losses_of(model), losses_of(plain)
    for name, value in full.items():
        factor = 1 if name in ENTRIES else weight
        assert ours[name].item() == pytest.approx(factor * value.item()), name
    assert any(name not in ENTRIES for name in full)
    with pytest.raises(ValueError, match="task_loss_weight must not be negative"):
        CMIM(task_model(), "none", task_loss_weight=-1)


def test_without_labels_no_gradient_comes_from_them(twin):
    model = CMIM(
        task_model(),
        "none",
        teacher=twin,
        added_losses=DISTRIBUTION,
        task_loss_weight=0,
    )
    losses = losses_of(model)
    sum(v for k, v in losses.items() if "loss" in k).backward()
    total = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    losses_of(model)[ENTRIES[2]].backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(total[name], parameter.grad)
    assert total["model.decode_head.conv_seg.weight"].abs().sum() > 0


@pytest.mark.parametrize("partner", ["none", "latent"])
def test_depth_takes_the_losses_without_classes_and_refuses_the_other(
    partner, tmp_path
):
    depth = task_model("DepthHead")
    network = MODELS.build(full_precision_twin(depth))
    torch.save({"state_dict": network.state_dict()}, tmp_path / "depth.pth")
    teacher = str(tmp_path / "depth.pth")
    model = CMIM(depth, partner, teacher=teacher, added_losses=ALL[:2])
    losses = losses_of(model)
    assert added(losses)[-2:] == ENTRIES[:2]
    assert all(losses[name].isfinite() for name in ENTRIES[:2])
    with pytest.raises(ValueError, match="no classes: it is of no use for depth"):
        CMIM(depth, partner, teacher=teacher, added_losses=[DISTRIBUTION])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (dict(type="SpreadLoss"), "'SpreadLoss' is unknown; choose from activation_s"),
        (dict(name="lipschitz", weigth=1), "has no option 'weigth'; it accepts clip"),
        (dict(type="lipschitz", weight="1"), "needs weight to be a number, got '1'"),
        (dict(type="CMIM"), "'CMIM' is unknown"),
        # What the command line makes of an entry with options.
        (["dict(type=SpreadLoss)"], "'dict.type=SpreadLoss.' is unknown; choose from"),
        ([SPREAD, SPREAD], "listed twice"),
        (dict(SPREAD, weight=-1), "'activation_spread': weight must not be negative"),
        (
            dict(SPREAD, taps="backbone.layer4"),
            "'backbone.layer4' is none; choose from",
        ),
        (dict(SPREAD, taps="backbone.layer9"), "matches no module"),
        (dict(LIPSCHITZ, taps="backbone.layer4"), "found 1; name two modules or more"),
        (dict(LIPSCHITZ, iterations=0), "iterations must be at least 1, got 0"),
        (dict(LIPSCHITZ, clip=0), "clip must be positive or None, got 0"),
        (dict(DISTRIBUTION, taps="backbone.layer[34]"), "the one module .* and 2 fit"),
    ],
)
def test_wrong_options_are_said(config, said):
    with pytest.raises(ValueError, match=said):
        CMIM(task_model(), "none", added_losses=config)


OWN_CLASS = ConfigDict(type=ActivationSpreadLoss)
NAMES = ["activation_spread", "ActivationSpreadLoss", ["ActivationSpreadLoss"]]
NAMES += [[dict(name="activation_spread")], dict(type="activation_spread"), OWN_CLASS]


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_a_name_stands_for_a_loss_with_its_defaults(name):
    model = CMIM(task_model(), "none", added_losses=name)
    assert added(losses_of(model)) == ENTRIES[:1]


def test_full_precision_has_nothing_to_spread():
    with pytest.raises(ValueError, match="needs an activation binarizer"):
        CMIM(task_model(method="fp"), "none", added_losses=[SPREAD])


def test_losses_are_computed_in_float32_under_autocast(twin):
    model = CMIM(task_model(), "none", teacher=twin, added_losses=ALL)
    exact = losses_of(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = losses_of(model)
    for name in ENTRIES:
        assert losses[name].dtype == torch.float32
        assert losses[name].item() == pytest.approx(exact[name].item(), rel=0.2)


def test_teacher_moves_along_and_a_copy_works(twin):
    model = CMIM(task_model(), "none", teacher=twin, added_losses=ALL).double()
    teacher = model.teacher.network
    assert next(teacher.parameters()).dtype == torch.float64
    losses = losses_of(copy.deepcopy(model))
    assert losses[ENTRIES[1]].dtype == torch.float64


def test_schedules_of_the_task_model_are_found_through_the_wrapper():
    method = dict(name="reactnet", step="schedule", switch=0.25)
    model = CMIM(task_model(method=method), "none", added_losses=[SPREAD])
    conv = model.model.backbone.layer1[0].conv1

    class Runner:
        max_iters = 8

    runner, hook = Runner(), SetProgress()
    runner.model = model
    hook.before_train(runner)
    real = []
    for runner.iter in range(4):
        hook.before_train_iter(runner, 0)
        real.append(torch.equal(conv.binary_weight(), conv.weight))
    assert real == [True, True, False, False]
    assert not torch.equal(
        model.eval().model.backbone.layer1[0].conv1.binary_weight(), conv.weight
    )
