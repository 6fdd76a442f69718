"""Readers of a config's data look into what joins and wraps data sets."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from cmim.bench.latency.measure import input_size
from cmim.bench.step import synthetic_batch
from cmim.engine.config import load_config
from cmim.engine.config_error import ConfigError
from cmim.engine.evaluate import evaluate
from cmim.engine.train import prepare_training, train
from cmim.hooks import SaveCheckpoint
from cmim.inspect.read_activations import Activations, _labels
from tasks.classification.metrics import ClassificationMetric
from tasks.edges.metrics import EdgeMetric
from tasks.normals.metrics import NormalMetric

WRAPPED = dict(
    datasets=[
        dict(pipeline=[dict(type="Load"), dict(crop_size=(4, 6), size=(8, 12))]),
        dict(type="RepeatDataset", dataset=dict(pipeline=[]), times=2),
    ]
)


def test_sizes_are_found_inside():
    loader = dict(dataset=WRAPPED, batch_size=1)
    head = dict(backbone={}, decode_head=dict(num_classes=2))
    config = Config(dict(model=head, train_dataloader=loader, test_dataloader=loader))
    assert input_size(config) == (8, 12)
    assert synthetic_batch(config)["inputs"][0].shape == (3, 4, 6)


def test_a_part_of_the_test_split_selects_nothing():
    split = SimpleNamespace(split="test")
    dataset = SimpleNamespace(datasets=[SimpleNamespace(), split])
    runner = SimpleNamespace(
        val_loop=True,
        val_begin=1,
        max_iters=2,
        val_dataloader=SimpleNamespace(dataset=dataset),
    )
    with pytest.raises(ValueError, match="test split must not select"):
        SaveCheckpoint(interval=1, best="mIoU")._check_validation(runner)


def test_classes_and_metres_are_no_one_label():
    found, features = Activations(None), torch.zeros(1, 1, 2, 2)
    truth = SimpleNamespace(data=torch.ones(1, 2, 2))

    class Sample(dict):
        __getattr__ = dict.__getitem__

    _labels([Sample(gt_sem_seg=truth)], features, found)
    with pytest.raises(ValueError, match="some test pictures have classes and others"):
        _labels([Sample(gt_depth_map=truth)], features, found)


@pytest.mark.parametrize(
    ("metric", "truth", "prediction"),
    [
        (
            NormalMetric(),
            dict(gt_normal_map=dict(data=torch.tensor([0.0, 0, -1]).view(3, 1, 1))),
            dict(pred_normal_map=dict(data=torch.tensor([0.0, 1, 0]).view(3, 1, 1))),
        ),
        (
            EdgeMetric(),
            dict(gt_edge_map=dict(data=torch.tensor([[[1, 0, 0]]]))),
            dict(pred_edge_map=dict(data=torch.tensor([[[0.9, 0.0, 0.6]]]))),
        ),
        (
            ClassificationMetric(),
            dict(gt_label=1),
            dict(pred_logits=torch.tensor([0.0, 1.0])),
        ),
    ],
)
def test_pictures_without_ground_truth_change_no_figure(metric, truth, prediction):
    metric.process(None, [{**prediction, **truth}])
    expected = metric.evaluate(1)
    metric.process(None, [{**prediction, **truth}, prediction, prediction])
    assert metric.evaluate(3) == expected


@pytest.mark.full
def test_classes_that_only_files_tell_are_compared_with_the_head(pictures, tmp_path):
    """Ten folders, and a head of eleven classes of which one would never be right."""
    options = {
        "data_root": str(pictures),
        "model.model.backbone.base_channels": 8,
        "model.model.head.in_channels": 32,
        "model.model.head.num_classes": 11,
    }
    config = load_config("configs/cifar10_resnet20_bireal.py")
    options |= {
        f"{loader}.dataset.metainfo": None
        for loader in ("train_dataloader", "val_dataloader", "test_dataloader")
        if config.get(loader)
    }
    config = load_config("configs/cifar10_resnet20_bireal.py", options)
    with pytest.raises(ConfigError, match=r"test_dataloader names 10.*head.*11"):
        evaluate(None, config)
    with pytest.raises(ConfigError, match=r"train_dataloader names 10.*head.*11"):
        train(prepare_training(config, work_dir=str(tmp_path / "run")))
