"""CIFAR-10: IR-Net, ResNet-20.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 400 epochs: SGD at 0.1 with a cosine, weight decay
1e-4, t from 1e-3 to 10 (github.com/htqin/IR-Net, commit f63a590,
CIFAR-10/ResNet20/1w1a/trainer.py; published: 86.5 %, one shortcut a convolution). There
a batch-norm stands in front of the classifier too, the rate and t move once an epoch,
and pictures are normalised by ImageNet's statistics. With CMIM: model.partner=teacher,
after cifar10_resnet20_fp_full.py. Not measured yet.
"""

from mmengine.config import read_base

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

task_model.backbone.update(method=dict(name="irnet", t_min=1e-3))
model = dict(
    type=CMIM,
    model=task_model,
    partner="none",
    # As many anchors a batch as in the dense tasks; 32 a picture would take ten times
    # as long as the network itself.
    pixels=4,
    teacher="work_dirs/cifar10_resnet20_fp_full/last.pth",
)
