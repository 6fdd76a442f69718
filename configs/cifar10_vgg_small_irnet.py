"""CIFAR-10: IR-Net, VGG-small.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 300 epochs: SGD at 0.007 with a cosine, weight
decay 1e-4, t from 0.1 to 10 (github.com/htqin/IR-Net, commit f63a590,
CIFAR-10/VGG-Small/main.py; published: 90.4 %). With CMIM: model.partner=teacher, after
cifar10_vgg_small_fp.py. Not measured yet.
"""

from mmengine.config import read_base

from cmim.encoders import BinaryVGGSmall
from cmim.models import CMIM

with read_base():
    from ._base_.cifar10_official import (
        data_root,
        test_cfg,
        test_dataloader,
        train_dataloader,
    )
    from ._base_.classification_model_cifar import task_model, test_evaluator
    from ._base_.runtime import (
        custom_hooks,
        default_hooks,
        default_scope,
        env_cfg,
        log_processor,
        randomness,
        sync_bn,
    )
    from ._base_.schedule_cifar_full import optim_wrapper, param_scheduler, train_cfg

task_model.backbone = dict(type=BinaryVGGSmall, method=dict(name="irnet"))
# The published classifier reads all 4x4 places, not their mean.
task_model.head.update(in_channels=512 * 4 * 4, pool=False)
train_cfg.update(max_iters=117_000)
optim_wrapper.optimizer.update(lr=0.007)
model = dict(
    type=CMIM,
    model=task_model,
    partner="none",
    # As many anchors a batch as in the dense tasks; 32 a picture would take ten times
    # as long as the network itself.
    pixels=4,
    teacher="work_dirs/cifar10_vgg_small_fp/last.pth",
)
