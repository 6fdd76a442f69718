"""A model and its config are described alike, whoever built it."""

import copy

import pytest
from mmengine.config import ConfigDict
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS

import cmim.encoders  # noqa: F401 - all register their parts
import tasks.classification
import tasks.depth
import tasks.multitask
import tasks.segmentation  # noqa: F401
from cmim.deploy.binary_layer import ExportError
from cmim.deploy.network_core import NetworkCore
from cmim.models import full_precision_twin
from cmim.task_model import TaskModel, describe

PICTURES = dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0])
SMALL = dict(in_channels=32, channels=4)
FCN = dict(type="FCNHead", num_classes=3, in_index=-1, **SMALL)
DEPTH = dict(type="DepthHead", dilations=(1,), **SMALL)
LINEAR = dict(type="LinearHead", in_channels=32, num_classes=3)
DENSE = dict(type=SegDataPreProcessor, size_divisor=1, **PICTURES)


def model(kind: str, prepare: dict = DENSE, **parts) -> ConfigDict:
    backbone = dict(type="BinaryResNet", method="bireal", base_channels=4)
    made = dict(type=kind, backbone=backbone, data_preprocessor=prepare, **parts)
    return ConfigDict(copy.deepcopy(made))


CASES = {
    "mmseg": (model("EncoderDecoder", decode_head=FCN), {"seg": "decode_head"}),
    "auxiliary": (
        model("EncoderDecoder", decode_head=FCN, auxiliary_head=FCN),
        {"seg": "decode_head"},
    ),
    "depth": (model("DepthEstimator", decode_head=DEPTH), {"depth": "decode_head"}),
    "classifier": (
        model("ImageClassifier", dict(type="ImgDataPreprocessor"), head=LINEAR),
        {"classes": "head"},
    ),
    "joint": (
        model("MultiTaskModel", heads=dict(depth=DEPTH, scene=LINEAR)),
        {"depth": "heads.depth", "scene": "heads.scene"},
    ),
}


def places(found: TaskModel) -> dict[str, str]:
    return {task: head.place for task, head in found.heads.items()}


@pytest.mark.parametrize("name", CASES)
def test_model_and_config_are_described_alike(name):
    config, expected = CASES[name]
    built = MODELS.build(copy.deepcopy(config))
    modules = dict(built.named_modules())
    of_config, of_model = describe(config), describe(built)
    assert places(of_config) == places(of_model) == expected
    assert of_model.encoder is modules["backbone"]
    for head in of_model.heads.values():
        assert modules[head.place] is head.part
        assert head.answer in modules
    for property_ in ("joint", "per_image", "segmentor", "normalisation"):
        assert getattr(of_config, property_) == getattr(of_model, property_)
    assert of_config.joint == (name == "joint")
    assert of_config.per_image == (name == "classifier")
    assert of_config.segmentor == (name in {"mmseg", "auxiliary", "depth"})
    assert of_config.normalisation == ({} if name == "classifier" else PICTURES)


def test_of_a_cascade_the_last_head_answers():
    found = describe(dict(backbone={}, decode_head=[dict(DEPTH), dict(FCN)]))
    assert places(found) == {"seg": "decode_head.1"}
    assert found.heads["seg"].answer == "decode_head.1.conv_seg"
    assert found.segmentor


@pytest.mark.parametrize("place", ["decode_head", "head"])
def test_a_list_without_heads_is_refused(place):
    with pytest.raises(ValueError, match=f"{place} of the model is an empty list"):
        describe({"backbone": {}, place: []})


def test_a_cascade_is_no_network_to_export():
    heads = [FCN, dict(FCN, type="OCRHead", ocr_channels=4)]
    kind = "CascadeEncoderDecoder"
    cascade = MODELS.build(model(kind, decode_head=heads, num_stages=2))
    with pytest.raises(ExportError, match=r"decode_head\.1 is the last of a cascade"):
        NetworkCore(cascade)


@pytest.mark.parametrize("place", ["decode_head", "auxiliary_head", "head", "heads"])
def test_the_twin_has_every_head_in_full_precision(place):
    def head() -> dict:
        return dict(method="bireal")

    both = dict(a=head(), b=head()) if place == "heads" else [head(), head()]
    twin = full_precision_twin({"backbone": head(), place: both})
    found = twin[place].values() if place == "heads" else twin[place]
    assert [part["method"] for part in found] == ["fp", "fp"]
    one = full_precision_twin({"backbone": head(), "auxiliary_head": head()})
    assert one["auxiliary_head"]["method"] == "fp"
