"""The joint model: predictions of the single tasks, partial batches, every gradient."""

import copy

import pytest
import torch
from joint_cases import (
    PREDICTION,
    TASKS,
    TRUTH,
    batch,
    build,
    head,
    joint_model,
    losses_of,
    shared_parts,
    total,
)
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper

from tasks.depth import DepthMetric
from tasks.edges import EdgeMetric
from tasks.normals import NormalMetric
from tasks.segmentation import SegmentationMetric


def test_predictions_are_those_of_the_single_task_models():
    joint = build(joint_model()).eval()
    data = batch()
    for sample in data["data_samples"]:
        sample.set_metainfo(dict(ori_shape=(45, 61)))
    filled = joint.test_step(copy.deepcopy(data))
    kinds = dict(seg="SegmentationModel", depth="DepthEstimator")
    for task, kind in kinds.items():
        config = dict(type=kind, decode_head=head(task), test_cfg=dict(mode="whole"))
        single = build(ConfigDict(**config, **shared_parts())).eval()
        single.backbone.load_state_dict(joint.backbone.state_dict())
        single.decode_head.load_state_dict(joint.heads[task].state_dict())
        for ours, theirs in zip(
            filled, single.test_step(copy.deepcopy(data)), strict=True
        ):
            name = PREDICTION[task]
            assert torch.equal(ours.get(name).data, theirs.get(name).data)
    single = build(
        ConfigDict(type="ImageClassifier", head=head("scene"), **shared_parts())
    )
    single.backbone.load_state_dict(joint.backbone.state_dict())
    single.head.load_state_dict(joint.heads["scene"].state_dict())
    for ours, theirs in zip(
        filled, single.eval().test_step(copy.deepcopy(data)), strict=True
    ):
        assert torch.equal(ours.pred_logits, theirs.pred_logits)
        assert torch.equal(ours.pred_label, theirs.pred_label)


def test_losses_are_those_of_the_single_task_models():
    joint = build(joint_model(("seg", "depth")))
    losses = losses_of(joint)
    for task, kind in dict(seg="SegmentationModel", depth="DepthEstimator").items():
        config = dict(type=kind, decode_head=head(task), test_cfg=dict(mode="whole"))
        single = build(ConfigDict(**config, **shared_parts()))
        single.backbone.load_state_dict(joint.backbone.state_dict())
        single.decode_head.load_state_dict(joint.heads[task].state_dict())
        for part in (joint, single):
            part.eval()  # no dropout, which draws in another order
        ours, theirs = losses_of(joint), losses_of(single)
        for name, value in ours.items():
            if name.startswith(task):
                assert torch.equal(
                    value, theirs[f"decode.{name.removeprefix(task + '.')}"]
                )
        joint.train()
    assert set(losses) == {"seg.loss_ce", "depth.loss_l1"}


def test_maps_have_the_picture_s_size_and_sensible_values():
    data = batch()
    for sample in data["data_samples"]:
        sample.set_metainfo(dict(ori_shape=(45, 61)))
    sample = build(joint_model()).eval().test_step(data)[0]
    assert sample.pred_normal_map.data.shape == (3, 45, 61)
    length = sample.pred_normal_map.data.norm(dim=0)
    assert torch.allclose(length, torch.ones_like(length), atol=1e-5)
    assert sample.pred_edge_map.data.shape == (1, 45, 61)
    assert 0 <= sample.pred_edge_map.data.min() <= sample.pred_edge_map.data.max() <= 1


def test_all_metrics_measure_one_prediction_under_names_of_their_own():
    samples = build(joint_model()).eval().test_step(batch())
    rows = [sample.to_dict() for sample in samples]
    figures: dict = {}
    for metric in (
        SegmentationMetric(num_classes=5, prefix="seg"),
        DepthMetric(prefix="depth"),
        NormalMetric(prefix="normals"),
        EdgeMetric(prefix="edges"),
    ):
        metric.process(None, rows)
        found = metric.evaluate(size=3)
        assert not set(found) & set(figures)
        figures |= found
    assert {"seg/mIoU", "depth/rmse", "normals/mean_angle", "edges/ods"} <= set(figures)


@pytest.mark.parametrize("task", TASKS)
def test_a_sample_without_ground_truth_adds_exactly_nothing(task):
    """The loss is that of the same batch with junk images where truth is missing."""
    model = build(joint_model()).eval()
    data = batch(3)
    delattr(data["data_samples"][1], TRUTH[task])
    name = f"{task}.loss"
    losses = losses_of(model, copy.deepcopy(data))
    altered = copy.deepcopy(data)
    altered["inputs"][1] = 255 - altered["inputs"][1]
    others = losses_of(model, altered)
    for key, value in losses.items():
        if key.startswith(name):
            assert torch.equal(value, others[key]), key
        else:
            assert not torch.equal(value, others[key]), key
    missing = batch(3)
    for sample in missing["data_samples"]:
        delattr(sample, TRUTH[task])
    for key, value in losses_of(model, missing).items():
        assert (value.item() == 0) == key.startswith(name), key


@pytest.mark.parametrize(
    "weighting",
    [
        None,
        dict(type="UncertaintyWeights"),
        dict(type="DynamicWeights", steps_per_epoch=2),
    ],
)
@pytest.mark.parametrize("lacking", ["none", "some", "all of a task", "everything"])
def test_every_parameter_has_a_gradient(weighting, lacking):
    model = build(joint_model(weighting=weighting, bottleneck=BOTTLENECK)).train()
    data = batch(3)
    for place, sample in enumerate(data["data_samples"]):
        for number, field in enumerate(TRUTH.values()):
            some = lacking == "some" and number % 3 == place
            one = lacking == "all of a task" and field == "gt_depth_map"
            if some or one or lacking == "everything":
                delattr(sample, field)
    losses = losses_of(model, data)
    total(losses).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert not without
    assert all(p.grad.isfinite().all() for p in model.parameters())
    if lacking == "everything":
        own = [x for k, x in losses.items() if "loss" in k and k.split(".")[0] in TASKS]
        assert len(own) == len(TASKS)
        assert all(x.item() == 0 for x in own)


BOTTLENECK = dict(type="InformationBottleneck", channels=32)


@pytest.mark.full
def test_weights_multiply_losses_and_the_state_holds_them():
    plain, weighed = (
        build(joint_model(("seg", "depth"), weighting=w)).eval()
        for w in (None, dict(type="FixedWeights", weights=dict(depth=3.0)))
    )
    one, other = losses_of(plain), losses_of(weighed)
    assert torch.equal(one["seg.loss_ce"], other["seg.loss_ce"])
    assert other["depth.loss_l1"].item() == pytest.approx(
        3 * one["depth.loss_l1"].item()
    )
    learned = build(joint_model(weighting=dict(type="UncertaintyWeights")))
    assert learned.state_dict()["weighting.log_variances"].shape == (5,)
    losses = losses_of(learned)
    assert losses["depth.weight"].item() == 0.5
    assert losses["seg.weight"].item() == 1.0
    assert "weighting.loss_uncertainty" in losses


def test_bottleneck_stands_between_encoder_and_heads():
    model = build(joint_model(bottleneck=BOTTLENECK))
    losses = losses_of(model.train())
    assert losses["bottleneck.loss"].item() > 0
    x = torch.randn(1, 3, 32, 48)
    model.eval()
    coded = model.extract_feat(x)[-1]
    assert torch.allclose(coded, model.backbone(x)[-1], atol=1e-5)
    model.bottleneck.mean.weight.data.zero_()
    assert not model.extract_feat(x)[-1].any()


def test_names_and_numbers_stand_for_configs():
    short = build(joint_model(weighting="UncertaintyWeights", bottleneck=1e-3))
    full = dict(
        weighting=dict(type="UncertaintyWeights"),
        bottleneck=dict(type="InformationBottleneck", channels=32, beta=1e-3),
    )
    assert str(short) == str(build(joint_model(**full)))
    assert short.bottleneck.beta == 1e-3
    assert build(joint_model(weighting="DynamicWeights")).weighting.temperature == 2


def test_a_step_trains_and_autocast_works():
    model = build(joint_model()).train()
    before = {k: v.clone() for k, v in model.named_parameters()}
    wrapper = build_optim_wrapper(model, dict(optimizer=dict(type="AdamW", lr=0.01)))
    assert model.train_step(batch(), wrapper)["loss"].isfinite()
    assert all(not torch.equal(p, before[k]) for k, p in model.named_parameters())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = losses_of(model)
    assert all(value.isfinite().all() for value in losses.values())


@pytest.mark.parametrize("names", [("depth",), ("normals", "edges"), ("scene", "seg")])
def test_any_subset_works(names):
    model = build(joint_model(names)).eval()
    assert set(model(torch.zeros(1, 3, 32, 48))) == set(names)
    sample = model.test_step(batch())[0]
    assert [t for t in TASKS if PREDICTION[t] in sample] == sorted(
        names, key=TASKS.index
    )


def test_misuse_is_named():
    with pytest.raises(ValueError, match=r"one task or more of .*depth.*got pose"):
        build(ConfigDict(type="MultiTaskModel", heads=dict(pose={}), **shared_parts()))
    with pytest.raises(ValueError, match="got none"):
        build(joint_model(()))
    model = build(joint_model(("depth",)))
    with pytest.raises(ValueError, match="'train' is unknown"):
        model(torch.zeros(1, 3, 32, 48), mode="train")
    with pytest.raises(ValueError, match="needs data_samples"):
        model(torch.zeros(1, 3, 32, 48), mode="loss")
