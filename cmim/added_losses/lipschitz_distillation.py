r"""LCKD: the Lipschitz constants of any teacher, for any student.

Shang, Duan, Zong, Nie, Yan, Lipschitz Continuity Guided Knowledge Distillation, ICCV
2021 (its framework is called LONDON). https://arxiv.org/abs/2108.12905

Loss: see :func:`cmim.functional.retention.lipschitz_distance`, on the outputs of the
encoder's stages as they are, with as many steps of the power iteration as come close to
the singular value. Student and teacher may differ in width (``model.teacher_model``).

Surprises: the method's successor for binary networks is
:class:`cmim.added_losses.LipschitzLoss`: the same sum, of features clipped and scaled
by learned factors, after one step. The released code adds a feature loss (Heo et al., A
Comprehensive Overhaul of Feature Distillation, ICCV 2019), for which it maps the
student's features by learned 1x1 convolutions and batch-norms, and compares features in
front of ReLU; these are left out here (``FeatureDistillationLoss`` beside it takes the
place of the first). It starts the iteration from random vectors for CIFAR-100 and from
ones for ImageNet, here from ones.

Checked: against ``Distiller`` of github.com/42Shawn/LONDON, commit 44e135f (later ones
hold no code, and the one before takes no gradient of this loss), without its mappings,
5 and 10 iterations: losses at most 4.4e-16 apart in float64 (of 0.19), gradients
1.9e-16 (of 0.056); in float32 2.1e-7 (of 0.11) and 1.8e-7 (of 0.13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmseg.registry import MODELS

from cmim.added_losses.lipschitz import LipschitzLoss


@MODELS.register_module(name=["LipschitzDistillationLoss", "lckd"])
class LipschitzDistillationLoss(LipschitzLoss):
    """LCKD's loss on consecutive feature maps of student and teacher.

    In a config also by its short name: ``added_losses='lckd'``.

    Args:
        weight: >= 0. Default 1/200; the released code has 0.001 to 0.02, by the pair of
            networks.
        taps: Glob patterns of modules, shallow to deep; the encoder's stages when None.
        iterations: Steps of the power iteration, at least 1. Default 10, as for
            CIFAR-100; 5 for ImageNet.

    Raises:
        ValueError: Fewer than two modules to tap, or no iteration.
    """

    name = "lckd"

    def __init__(
        self,
        weight: float = 1 / 200,
        taps: str | Sequence[str] | Mapping[str, str] | None = None,
        iterations: int = 10,
    ) -> None:
        super().__init__(weight, taps, iterations, clip=None, learned_scale=False)


ADDED_LOSS = LipschitzDistillationLoss
