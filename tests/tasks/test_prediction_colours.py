"""Names and colours of the classes of any data set, in pictures of predictions."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from tasks.datasets.nyu40 import NYU40_PALETTE
from tasks.pictures import palette_of
from tasks.predict import class_colours, class_names, network_size
from tasks.prediction_writer import PredictionWriter


def config(pipeline=(), **dataset) -> Config:
    dataset["pipeline"] = list(pipeline)
    return Config(dict(test_dataloader=dict(dataset=dataset)))


@pytest.mark.parametrize("count", [1, 40, 41, 150, 255])
def test_colours_tell_classes_apart_and_from_void(count):
    colours = palette_of(count)
    assert len(set(colours)) == len(colours) == count
    assert (0, 0, 0) not in colours
    assert np.min(colours) >= 0
    assert np.max(colours) <= 255


def test_nyu_keeps_its_colours():
    assert palette_of(40) == [tuple(c) for c in NYU40_PALETTE]


def test_colours_come_from_the_config():
    named = dict(classes=["a", "b"])
    assert class_colours(config(metainfo=named)) is None
    colours = [[1, 2, 3], [4, 5, 6]]
    assert class_colours(config(metainfo=named, label_values=colours)) == colours
    assert class_colours(config(metainfo=named, label_values=[1, 2])) is None
    drawn = dict(named, palette=colours[::-1])
    assert class_colours(config(metainfo=drawn, label_values=colours)) == colours[::-1]
    assert class_names(config(metainfo=named)) == ["a", "b"]


@pytest.mark.parametrize(
    ("resize", "size"), [(dict(size=(3, 4)), (3, 4)), (dict(shorter=5), 5), ({}, None)]
)
def test_input_size_is_that_of_the_test_pipeline(resize, size):
    assert network_size(config([dict(type="Load"), resize])) == size


def test_pictures_have_the_colours(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((30, 4, 3), np.uint8))
    sample = SegDataSample(metainfo=dict(img_path=str(path)))
    classes = torch.full((1, 30, 4), 59)
    sample.pred_sem_seg = PixelData(data=classes)
    names = [str(k) for k in range(60)]
    colours = [(k, 2 * k, 4 * k) for k in range(60)]
    PredictionWriter(tmp_path / "out", names, colours)(sample)
    overlay = cv2.imread(str(tmp_path / "out/a_overlay.png"))[0, 0, ::-1]
    assert np.allclose(overlay, 0.55 * np.array(colours[59]), atol=1)
    exact = cv2.imread(str(tmp_path / "out/a_labels.png"), -1)
    assert (exact == 60).all()
    # Without a palette, too.
    assert PredictionWriter(tmp_path / "more", names)(sample)
