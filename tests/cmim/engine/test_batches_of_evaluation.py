"""Batches that cannot be evaluated are said before a model sees them."""

import pytest
import torch
from mmengine.config import Config
from torch.utils.data import Dataset

from cmim.engine.evaluate import evaluate


class Pictures(Dataset):
    def __init__(self, *sizes):
        self.sizes = sizes
        self.metainfo = {}

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, index):
        return dict(inputs=torch.zeros(3, *self.sizes[index]), data_samples=index)


class Model:
    def test_step(self, batch):
        return batch["data_samples"]


def run(batch_size, *sizes):
    loader = dict(
        batch_size=batch_size,
        num_workers=0,
        sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=Pictures(*sizes),
    )
    config = Config(dict(test_dataloader=loader, test_evaluator=[]))
    return evaluate(Model(), config)


def test_pictures_of_several_sizes_need_batches_of_one():
    assert run(1, (4, 6), (6, 4))["images"] == 2
    assert run(2, (4, 6), (4, 6))["images"] == 2
    with pytest.raises(ValueError, match=r"4x6 and 6x4 .*test_dataloader.batch_size=1"):
        run(2, (4, 6), (6, 4))
