"""Logging, checkpoints and reproducibility, shared by all experiments."""

from mmengine.hooks import (
    DistSamplerSeedHook,
    IterTimerHook,
    LoggerHook,
    ParamSchedulerHook,
    RuntimeInfoHook,
)
from mmengine.runner import LogProcessor

from cmim.hooks import (
    ClipLatentWeights,
    RecordTiming,
    SaveCheckpoint,
    SeedSteps,
    SetProgress,
)

default_scope = "mmseg"
default_hooks = dict(
    runtime_info=dict(type=RuntimeInfoHook),
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type=ParamSchedulerHook),
    sampler_seed=dict(type=DistSamplerSeedHook),
    checkpoint=dict(type=SaveCheckpoint, interval=500),
)
# The middle two do something only where the method asks for it.
custom_hooks = [
    dict(type=SeedSteps),
    dict(type=SetProgress),
    dict(type=ClipLatentWeights),
    dict(type=RecordTiming),
]
log_processor = dict(type=LogProcessor, by_epoch=False, window_size=50)
# cuDNN's timing-dependent choice of algorithms is off; for bit-equal runs on a GPU also
# set randomness.deterministic=True. sync_bn: no accuracy lost to each process's own
# batch-norm statistics.
env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(backend="nccl"))
sync_bn = "torch"
randomness = dict(seed=0)
