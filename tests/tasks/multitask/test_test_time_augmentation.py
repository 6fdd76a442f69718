"""Answers over views: networks that see no difference, values by hand, mmseg's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from in_process import run_in_process
from joint_cases import PREDICTION, build, head, joint_model, shared_parts
from mmengine.config import ConfigDict
from mmseg.models import SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from cmim.engine.config import load_config
from cmim.engine.test_time_augmentation import predict_views
from cmim.engine.views import View, read_views

FLIP = read_views("flip")
# The depth head answers in float32, up to 10 m.
CLOSE = 1e-5
FLAT = ("seg", "depth", "edges", "scene")


def pictures(size: tuple[int, int] = (33, 49), count: int = 2) -> dict:
    """Of odd sizes, which strides of two divide alike from both sides."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (count, 3, *size), generator=generator)
    samples = [
        SegDataSample(
            metainfo=dict(img_shape=size, ori_shape=size, img_path=f"{k}.png")
        )
        for k in range(count)
    ]
    return dict(inputs=list(images.to(torch.uint8)), data_samples=samples)


class Encoder(nn.Module):
    """A convolution of stride two, whose places lie the same from both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.conv(x).relu(),)


def lively(model: nn.Module) -> nn.Module:
    """A model whose answers vary over the picture, with the encoder above."""
    torch.manual_seed(1)
    model.backbone = Encoder()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.5)
    return model.double().eval()


def even_handed(model: nn.Module) -> nn.Module:
    """Likewise, and all kernels are their own mirror images."""
    for module in lively(model).modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight.data
            module.weight.data = (weight + weight.flip(-1)) / 2
    return model


def values(samples: list, task: str) -> torch.Tensor:
    found = [getattr(sample, PREDICTION[task]) for sample in samples]
    return torch.stack([getattr(part, "data", part).squeeze() for part in found])


@torch.no_grad()
def test_a_network_that_sees_no_left_and_right_answers_the_same():
    model = even_handed(build(joint_model(FLAT, method="fp")))
    usual = model.test_step(pictures())
    once = predict_views(model, pictures(), [View()])
    both = predict_views(model, pictures(), FLIP)
    for task in FLAT:
        expected = values(usual, task)
        assert expected.double().std() > 0
        same = values(both, task) - values(once, task)
        assert same.double().abs().max() < CLOSE
        if task != "scene":  # logits there, which a constant may move
            assert torch.allclose(values(once, task), expected, rtol=0, atol=CLOSE)
    shares = values(usual, "scene").softmax(dim=1)
    assert torch.allclose(values(both, "scene").exp(), shares)
    labels = [[int(s.pred_label) for s in samples] for samples in (usual, both)]
    assert labels[0] == labels[1]


@torch.no_grad()
def test_another_network_does_not():
    model = lively(build(joint_model(("depth",), method="fp")))
    depth = [
        values(predict_views(model, pictures(), views), "depth")
        for views in (FLIP[:1], FLIP[1:], FLIP)
    ]
    assert not torch.allclose(depth[0], depth[1])
    mean = (depth[0] + depth[1]) / 2
    assert torch.allclose(depth[2], mean, rtol=0, atol=CLOSE)


@torch.no_grad()
def test_classes_of_whole_pictures():
    parts = shared_parts("fp")
    model = lively(
        build(ConfigDict(type="ImageClassifier", head=head("scene"), **parts))
    )
    shares = []
    for views in (FLIP[:1], FLIP[1:], FLIP):
        samples = predict_views(model, pictures(), views)
        shares.append(torch.stack([s.pred_logits.softmax(dim=0) for s in samples]))
        assert [int(s.pred_label) for s in samples] == shares[-1].argmax(1).tolist()
    assert not torch.allclose(shares[0], shares[1], atol=1e-3)
    assert torch.allclose(shares[2], (shares[0] + shares[1]) / 2)


def answering(task: str, answer) -> nn.Module:
    """A model whose head gives ``answer(features)``, whatever it has learned."""
    model = build(joint_model((task,), method="fp")).eval()
    model.backbone = nn.Identity()
    model.heads[task].forward = answer
    return model


def test_a_ramp_of_depth_and_its_mirror_image_are_flat():
    ramp = torch.arange(1.0, 5.0).expand(1, 1, 2, 4)
    model = answering("depth", lambda features: ramp)
    samples = predict_views(model, pictures((2, 4), count=1), FLIP)
    assert values(samples, "depth").tolist() == [[[2.5] * 4] * 2]


def test_depth_of_a_zoomed_picture_is_farther():
    """A wall at 3 m fills a picture; twice as large it would be at 1.5 m."""
    model = answering("depth", lambda x: torch.full((1, 1, *x.shape[2:]), 3.0))
    samples = predict_views(model, pictures((2, 4), 1), read_views("1,2"))
    assert values(samples, "depth").tolist() == [[[4.5] * 4] * 2]


def test_normals_turn_with_the_picture():
    vector = torch.tensor([0.6, 0.0, -0.8]).view(1, 3, 1, 1)
    model = answering("normals", lambda x: vector.expand(1, 3, *x.shape[2:]))
    ahead = values(predict_views(model, pictures((2, 4), 1), FLIP), "normals")
    assert torch.allclose(ahead[0, :, 0, 0], torch.tensor([0.0, 0.0, -1.0]))
    zoomed = predict_views(model, pictures((2, 4), 1), [View(zoom=2.0)])
    expected = torch.tensor([0.6, 0.0, -0.4]) / 0.52**0.5
    assert torch.allclose(values(zoomed, "normals")[0, :, 1, 3], expected)


def test_classes_are_those_of_the_mean_of_probabilities():
    """The mean of logits would choose the second class: 0.104 against 0.03."""
    shares = iter([[0.9, 0.099, 0.001], [0.001, 0.109, 0.89]])

    def answer(x):
        return torch.tensor(next(shares)).log().view(1, 3, 1, 1).expand(1, 3, 2, 4)

    model = answering("seg", answer)
    samples = predict_views(model, pictures((2, 4), 1), FLIP)
    assert values(samples, "seg").unique().tolist() == [0]


@torch.no_grad()
@pytest.mark.parametrize("kind", ["SegmentationModel", "DepthEstimator"])
def test_models_of_one_task_in_whole_and_in_windows(kind):
    task = "depth" if kind == "DepthEstimator" else "seg"
    config = ConfigDict(type=kind, decode_head=head(task), **shared_parts("fp"))
    for test_cfg in (
        dict(mode="whole"),
        dict(mode="slide", crop_size=(17, 33), stride=(16, 16)),
    ):
        config.test_cfg = ConfigDict(test_cfg)
        model = even_handed(build(config))
        usual = values(model.test_step(pictures()), task)
        views = values(predict_views(model, pictures(), FLIP), task)
        assert torch.allclose(views.double(), usual.double(), rtol=0, atol=CLOSE)
        resized = values(predict_views(model, pictures(), read_views("0.75,1")), task)
        assert resized.shape == usual.shape


def lists(*batches: dict) -> dict:
    """Batches as mmengine's model of augmentations takes them."""
    return {key: [batch[key] for batch in batches] for key in batches[0]}


@torch.no_grad()
def test_classes_are_those_of_mmsegs_own_augmentation():
    parts = shared_parts("fp")
    options = dict(decode_head=head("seg"), test_cfg=dict(mode="whole"), **parts)
    model = lively(MODELS.build(ConfigDict(type="EncoderDecoder", **options)))
    mirrored = pictures()
    mirrored["inputs"] = [image.flip(-1) for image in mirrored["inputs"]]
    for sample in mirrored["data_samples"]:
        sample.set_metainfo(dict(flip=True, flip_direction="horizontal"))
    theirs = SegTTAModel(model).test_step(lists(pictures(), mirrored))
    ours = predict_views(model, pictures(), FLIP)
    usual = values(model.test_step(pictures()), "seg")
    expected = values(theirs, "seg")
    assert not torch.equal(expected, usual)
    assert torch.equal(values(ours, "seg"), expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flip,flip", "has a view twice"),
        ("1,1.0", "has a view twice"),
        ("0.75,mirror", "'mirror' is no view"),
        ("0", "'0' is no view"),
        ("nan", "'nan' is no view"),
        ("", "'' is no view"),
    ],
)
def test_what_is_no_view_is_said(text, said):
    done = run_in_process("test", "config.py", "last.pth", "--tta", text)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.full
def test_the_tool_says_how_many_views_there_were(rooms, tmp_path):
    config = Path(__file__).parents[3] / "configs" / "rooms_depth_bireal.py"
    options = {
        "data_root": str(rooms),
        "model.model.backbone.base_channels": 8,
        "model.model.decode_head.in_channels": 64,
        "model.model.decode_head.channels": 8,
        "test_dataloader.num_workers": 0,
    }
    loaded = load_config(config, options)
    torch.save({"state_dict": build(loaded.model.model).state_dict()}, tmp_path / "a")
    given = [f"{name}={value}" for name, value in options.items()]
    found = []
    for views in ((), ("--tta", "flip,0.5,1")):
        done = run_in_process(
            *("test", config, tmp_path / "a", "--json", tmp_path / "figures.json"),
            *views,
            *("--cfg-options", *given),
        )
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(json.loads((tmp_path / "figures.json").read_text()))
    assert "views" not in found[0]
    assert found[1]["views"] == 4
    assert found[1]["rmse"] != found[0]["rmse"]
