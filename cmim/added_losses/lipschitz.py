r"""LCR: stages as smooth as those of the full-precision twin.

Shang, Xu, Duan, Zong, Nie, Yan, Lipschitz Continuity Retained Binary Neural Network,
ECCV 2022. https://arxiv.org/abs/2207.06540

Loss: see :func:`cmim.functional.retention.lipschitz_distance`, on the outputs of the
encoder's stages, clipped to [-1, 1]; the student's are multiplied by a learned factor
per stage.

The same authors' earlier loss for any student and teacher, LCKD, is
:class:`cmim.added_losses.LipschitzDistillationLoss`.

Surprises, all of the released code: one step of the power iteration from a vector of
ones, which gives more than the singular value; features clipped by a hard tanh (its
IR-Net ends in one anyway); the learned factors, started at 1, stand in this loss alone,
so that it can also fall by them. Its weight is ``8 / (10^4 * batch size)``, here that
of its batch of 128. Whether the paper's text has the same weighting of the layers could
not be established.

Checked: against ``LCR`` of github.com/42Shawn/LCR_BNN, commit 3905ef2, on four
feature maps of different sizes, 1 and 10 iterations: equal in float64, gradients of
features at most 5.3e-23 apart (of values up to 7.6e-8) and of the learned factors
1.7e-21 (of 5.8e-6); in float32 9.1e-13 of a loss of 6.8e-6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.added_losses.added_loss import AddedLoss
from cmim.contrast.taps import Tap
from cmim.functional.retention import lipschitz_distance
from cmim.stages import stage_names


@MODELS.register_module()
class LipschitzLoss(AddedLoss):
    """LCR's loss on consecutive feature maps of student and teacher.

    Args:
        weight: >= 0. Default 8 / (10^4 * 128).
        taps: Glob patterns of modules, shallow to deep; the encoder's stages when None.
        iterations: Steps of the power iteration, at least 1; about 10 approach the
            singular value.
        clip: Features are clipped to [-clip, clip]; None leaves them.
        learned_scale: Learn a factor for each of the student's feature maps.

    Raises:
        ValueError: Fewer than two modules to tap, no iteration, a clip that is not
            positive.
    """

    name = "lipschitz"
    needs_teacher = True

    def __init__(
        self,
        weight: float = 8 / (1e4 * 128),
        taps: str | Sequence[str] | Mapping[str, str] | None = None,
        iterations: int = 1,
        clip: float | None = 1.0,
        learned_scale: bool = True,
    ) -> None:
        super().__init__(weight, taps)
        if iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {iterations}")
        if clip is not None and not clip > 0:
            raise ValueError(f"clip must be positive or None, got {clip}")
        self.iterations = iterations
        self.clip = clip
        self.learned_scale = learned_scale
        self.scale: nn.Parameter | None = None

    def attach(self, model: nn.Module) -> None:
        super().attach(model)
        if len(self.names) < 2:
            raise ValueError(
                f"added loss {self.name!r} compares consecutive feature maps and "
                f"found {len(self.names)}; name two modules or more in its taps"
            )
        if self.learned_scale:
            self.scale = nn.Parameter(torch.ones(len(self.names)))

    def default_taps(self, model: nn.Module) -> list[str]:
        return stage_names(model)

    def forward(
        self, student: Mapping[str, Tap], teacher: Mapping[str, Tensor]
    ) -> Tensor:
        names = self.reached(student)
        with torch.autocast(student[names[0]].binary.device.type, enabled=False):
            ours = [self._prepared(student[name].binary) for name in names]
            theirs = [self._prepared(teacher[name]) for name in names]
            if self.scale is not None:
                places = [self.names.index(name) for name in names]
                ours = [self.scale[k] * x for k, x in zip(places, ours, strict=True)]
            return self.weight * lipschitz_distance(ours, theirs, self.iterations)

    def _prepared(self, x: Tensor) -> Tensor:
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        return x if self.clip is None else x.clamp(-self.clip, self.clip)


ADDED_LOSS = LipschitzLoss
