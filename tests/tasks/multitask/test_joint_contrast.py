"""The CMIM wrapper, the twin and other losses on a joint model."""

import pytest
import torch
from joint_cases import TASKS, batch, build, joint_model, losses_of, total
from mmseg.registry import MODELS

from cmim.checkpoint import load_task_weights
from cmim.models import CMIM, full_precision_twin


@pytest.fixture
def twin(tmp_path) -> str:
    model = build(full_precision_twin(joint_model(head_method="bireal")), seed=3)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "twin.pth")
    return str(tmp_path / "twin.pth")


def wrapped(head_method: str = "bireal", **options) -> CMIM:
    torch.manual_seed(0)
    return CMIM(joint_model(head_method=head_method), **options).train()


def added(losses: dict) -> list[str]:
    return [name for name in losses if name.startswith("cmim.")]


def test_the_twin_has_every_head_in_full_precision():
    config = joint_model(head_method="bireal")
    found = full_precision_twin(config)
    assert found["backbone"]["method"] == "fp"
    methods = {h.get("method") for h in found["heads"].values()}
    assert methods == {"fp", None}  # the linear head has none
    assert config["heads"]["seg"]["method"] == "bireal"
    assert MODELS.build(found).state_dict().keys() <= build(config).state_dict().keys()


@pytest.mark.parametrize(
    "options",
    [
        dict(partner="latent"),
        dict(partner="latent", negatives="other_class"),
        dict(partner="latent", negatives="other_depth", sampling="region"),
        dict(partner="latent", taps="heads.depth.aspp.branches.*.binarize"),
        dict(partner="latent", taps=["heads.*.aspp.branches.0.binarize"]),
    ],
)
def test_the_network_against_itself(options):
    if "sampling" in options:
        options = {k: v for k, v in options.items() if k != "sampling"}
    model = wrapped(**options)
    losses = losses_of(model)
    count = {"heads.*.aspp.branches.0.binarize": 4}.get(
        str(options.get("taps", [""])[0])
    )
    assert len(added(losses)) == (count or 1)
    total(losses).backward()
    assert model.model.backbone.conv1.weight.grad.any()


@pytest.mark.parametrize(
    "taps", [None, "heads.normals.aspp.project", "heads.*.conv_seg"]
)
def test_the_network_against_its_twin(twin, taps):
    model = wrapped(partner="teacher", teacher=twin, taps=taps)
    losses = losses_of(model)
    assert len(added(losses)) == {None: 2, "heads.*.conv_seg": 4}.get(taps, 1)
    assert all(losses[name].isfinite() for name in added(losses))


@pytest.mark.parametrize(
    "kind",
    [
        "LipschitzLoss",
        "DistributionalLoss",
        "ActivationSpreadLoss",
        "LogitDistillationLoss",
        "FeatureDistillationLoss",
    ],
)
def test_other_losses_read_the_joint_twin(twin, kind):
    model = wrapped(partner="none", teacher=twin, added_losses=kind)
    losses = losses_of(model)
    (name,) = added(losses)
    assert losses[name].isfinite()
    losses[name].backward()
    assert model.model.backbone.conv1.weight.grad.any()


def test_wrapped_weights_load_into_the_plain_model(tmp_path):
    model = wrapped(partner="latent")
    torch.save({"state_dict": model.state_dict()}, tmp_path / "last.pth")
    plain = build(joint_model(head_method="bireal"), seed=5)
    load_task_weights(plain, tmp_path / "last.pth")
    x = torch.randn(1, 3, 32, 48)
    ours, theirs = model.eval()(x), plain.eval()(x)
    assert all(torch.equal(ours[task], theirs[task]) for task in TASKS)


@pytest.mark.parametrize("negatives", ["other_label", "other_depth"])
def test_samples_without_labels_stay_in_the_contrast(negatives):
    model = wrapped(partner="latent", negatives=negatives)
    data = batch(3)
    del data["data_samples"][0].gt_sem_seg
    del data["data_samples"][1].gt_depth_map
    del data["data_samples"][2].gt_label
    losses = losses_of(model, data)
    assert all(losses[name].isfinite() for name in added(losses))


def test_pixels_take_the_map_and_images_the_class():
    from cmim.models.read_labels import read_labels

    samples = batch(3)["data_samples"]
    device = torch.device("cpu")
    pixels = read_labels(samples, "other_label", device)
    images = read_labels(samples, "other_label", device, image_level=True)
    assert pixels.exclude.shape == (3, 32, 48)
    assert images.exclude.shape == (3, 1, 1)
    assert images.exclude.ravel().tolist() == [s.gt_label for s in samples]
    for sample in samples:
        del sample.gt_sem_seg
    assert read_labels(samples, "other_label", device).exclude.shape == (3, 32, 48)
    assert read_labels(samples, "other_class", device).exclude.shape == (3, 1, 1)
