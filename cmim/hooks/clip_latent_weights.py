"""Keeps latent weights within bounds where the method asks for it."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from cmim.layers import BinaryWeightLayer


@HOOKS.register_module()
class ClipLatentWeights(Hook):
    """Bound the latent weights of binarizers with ``clip_latent`` after each step.

    BinaryConnect and BNN need it: their gradient passes unchanged, so weights far out
    would take many steps to change their sign; their bounds are -1 and 1. Others have
    their own, see :meth:`cmim.methods.WeightBinarizer.bound_latent`. Runs before the
    checkpoint is written.
    """

    priority = "NORMAL"

    def __init__(self) -> None:
        self._layers: list[BinaryWeightLayer] = []

    def before_train(self, runner: Any) -> None:
        self._layers = [
            module
            for module in runner.model.modules()
            if isinstance(module, BinaryWeightLayer)
            and module.weight_binarizer.clip_latent
        ]

    @torch.no_grad()
    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        for layer in self._layers:
            layer.weight.copy_(layer.weight_binarizer.bound_latent(layer.weight))
