"""A student and teachers of other families, for tests."""

from __future__ import annotations

import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

import cmim.encoders  # noqa: F401 - registers the encoders
import tasks.segmentation  # noqa: F401
from cmim.models import CMIM, full_precision_twin

HINT = dict(type="FeatureDistillationLoss")
ATTENTION = dict(type="FeatureDistillationLoss", kind="attention")
RESNET = dict(type="BinaryResNet", depth=18, base_channels=4, output_stride=8)
MOBILE = dict(type="BinaryMobileNet", base_channels=2, method="fp")
TOKENS = dict(
    type="MixVisionTransformer", embed_dims=8, num_heads=[1] * 4, num_layers=[1] * 4
)


def task_model(backbone: dict, channels: int, classes: int = 5) -> ConfigDict:
    return ConfigDict(
        type="SegmentationModel",
        backbone=backbone,
        decode_head=dict(
            type="DeepLabHead",
            in_channels=channels,
            in_index=-1,
            channels=4,
            dilations=(1,),
            num_classes=classes,
        ),
        test_cfg=dict(mode="whole"),
    )


STUDENT = task_model(dict(RESNET, method="bireal"), 32)
TEACHERS = {
    "mobile": task_model(MOBILE, 64),
    "tokens": task_model(TOKENS, 8),
    "twin": full_precision_twin(STUDENT),
}


def saved(tmp_path, model: dict) -> str:
    torch.manual_seed(3)
    torch.save({"state_dict": MODELS.build(model).state_dict()}, tmp_path / "t.pth")
    return str(tmp_path / "t.pth")


def pictures() -> Tensor:
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def losses_of(model: CMIM) -> dict[str, Tensor]:
    samples = []
    for k in range(2):
        sample = SegDataSample(metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96)))
        labels = torch.randint(
            5, (1, 64, 96), generator=torch.Generator().manual_seed(k)
        )
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    torch.manual_seed(0)
    return model(pictures(), samples, mode="loss")


def build(tmp_path, family: str, **options) -> CMIM:
    teacher = TEACHERS[family]
    torch.manual_seed(0)
    options = {"partner": "teacher", "taps": "last_two_stages", **options}
    path = saved(tmp_path, teacher)
    return CMIM(STUDENT, teacher=path, teacher_model=teacher, **options).train()
