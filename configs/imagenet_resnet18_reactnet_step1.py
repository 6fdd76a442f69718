"""ImageNet: ReActNet, ResNet-18, step 1 of 2.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 4 GPUs with 128
pictures each. Binary activations, real weights; imagenet_resnet18_reactnet.py is the
second step. Batch 512, 128 epochs: Adam at 2.5e-3 to 0, weight decay 1e-5 on
convolutions, lighting; the loss is the cross-entropy with torchvision's ResNet-34,
whose weights resnet34.pth holds (teacher in _base_/teacher_resnet34.py;
github.com/liuzechun/ReActNet, commit a6cd08d, resnet/1_step1; published: 65.9 % after
both). With CMIM: model.partner=teacher, of the same teacher. Not measured yet.
"""

from mmengine.config import read_base

from cmim.models import CMIM
from cmim.regularizers import DistributionalLoss
from tasks.transforms import Lighting

with read_base():
    from ._base_.classification_model_imagenet import task_model, test_evaluator
    from ._base_.imagenet import (
        data_root,
        test_cfg,
        test_dataloader,
        train_dataloader,
    )
    from ._base_.runtime import (
        custom_hooks,
        default_hooks,
        default_scope,
        env_cfg,
        log_processor,
        randomness,
        sync_bn,
    )
    from ._base_.schedule_imagenet_reactnet import (
        optim_wrapper,
        param_scheduler,
        train_cfg,
    )
    from ._base_.teacher_resnet34 import teacher, teacher_model

task_model.backbone.update(method=dict(name="reactnet", step=1))
train_dataloader.dataset.pipeline.insert(2, dict(type=Lighting, unit=1.0))
optim_wrapper.optimizer.update(weight_decay=1e-5)
model = dict(
    type=CMIM,
    model=task_model,
    partner="none",
    teacher=teacher,
    teacher_model=teacher_model,
    # As published: the teacher's answers alone, no labels.
    regularizers=[dict(type=DistributionalLoss)],
    task_loss_weight=0,
)
