"""MobileNetV2: inverted residuals whose 1x1 convolutions a method binarizes."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.encoders.encoder import BinaryEncoder, limit_strides, require_bands
from cmim.encoders.inverted_residual import InvertedResidual, NormalizedConv, rectifier
from cmim.methods import get_method
from cmim.stages import Stage

# Expansion, output channels, blocks, and stride of the first of them (Table 2).
SETTINGS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM, LAST = 32, 1280


def rounded_channels(channels: float, multiple: int = 8) -> int:
    """The nearest multiple, that next above where it would be less than 90 %.

    Args:
        channels: How many there would be.
        multiple: What the result is a multiple of, and at least.

    Examples:
        >>> [rounded_channels(c) for c in (32 * 0.35, 16 * 0.35, 24 * 0.5, 16 * 0.7)]
        [16, 8, 16, 16]
        >>> rounded_channels(24 * 0.75)  # 16 would be 89 % of 18
        24
    """
    nearest = max(multiple, int(channels + multiple / 2) // multiple * multiple)
    return nearest + multiple if nearest < 0.9 * channels else nearest


@MODELS.register_module()
class BinaryMobileNetV2(BinaryEncoder):
    """MobileNetV2, whose 1x1 convolutions are binarized by a method chosen by name.

    Stem, depth-wise convolutions and batch-norm stay full precision. Modules are named
    as in torchvision (``features.K.conv...``), so its weights load into the latent
    weights, and with ``method='fp', shortcuts='per_block'`` it is torchvision's
    ``mobilenet_v2``. The stages are the modules ``features.3``, ``6``, ``13`` and
    ``18``: the last ones of their resolutions.

    Args:
        method: Name of a binarization method, or ``dict(name=..., **options)``.
        output_stride: Input pixels per feature pixel of the last stage: 2 to 32.
        dilated: Replace each removed stride by a dilation (DeepLab).
        width_multiplier: Channels of all layers over those published, but for the
            last, which is never narrower.
        multiple: All channels are multiples of this.
        shortcuts: ``'per_conv'`` (each convolution has one, without parameters) or
            ``'per_block'`` (as published), see :class:`InvertedResidual`.
        binary_depthwise: Binarize the depth-wise convolutions as well. Exporting
            refuses them: their groups of one channel are no faster in bits.
        out_indices: Which of the four stages are returned; all when None.
        init_from: Path of a checkpoint for the latent weights: a state dict of
            torchvision's ``mobilenet_v2``, or a checkpoint of this project.
        init_cfg: mmengine initialisation; Kaiming normal when None.
        in_channels: Bands of the pictures, 3 for RGB.
        frozen_stages: See :meth:`BinaryEncoder.train_part`, likewise the next two.
        norm_eval: Keep batch-norm statistics as they are.
        recompute_stages: Less memory, more time.

    Shape:
        ``(N, in_channels, H, W)`` to a tuple of
        ``(N, C_i, ceil(H / s_i), ceil(W / s_i))``.

    Raises:
        ValueError: Unknown method, shortcut, output stride or stage; no width.

    References:
        Sandler et al., MobileNetV2, CVPR 2018. https://arxiv.org/abs/1801.04381

    Examples:
        >>> import torch
        >>> net = BinaryMobileNetV2(width_multiplier=0.25, output_stride=16)
        >>> [tuple(f.shape) for f in net(torch.zeros(1, 3, 64, 64))]
        [(1, 8, 16, 16), (1, 8, 8, 8), (1, 24, 4, 4), (1, 1280, 4, 4)]
    """

    def __init__(
        self,
        method: str | dict = "reactnet",
        output_stride: int | None = None,
        dilated: bool = True,
        width_multiplier: float = 1.0,
        multiple: int = 8,
        shortcuts: str = "per_conv",
        binary_depthwise: bool = False,
        out_indices: Sequence[int] | None = None,
        init_from: str | None = None,
        init_cfg: dict | None = None,
        in_channels: int = 3,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        recompute_stages: bool = False,
    ) -> None:
        super().__init__(4, out_indices, init_from, init_cfg)
        chosen = get_method(method)
        require_bands(in_channels)
        if width_multiplier <= 0 or multiple < 1:
            raise ValueError(
                "width_multiplier must be above 0 and multiple at least 1, got "
                f"{width_multiplier} and {multiple}"
            )
        plan = [
            (expansion, rounded_channels(width * width_multiplier, multiple), s)
            for expansion, width, count, stride in SETTINGS
            for s in (stride, *[1] * (count - 1))
        ]
        strides = limit_strides([s for *_, s in plan], output_stride, stem=2)
        channels = rounded_channels(STEM * width_multiplier, multiple)
        stem = NormalizedConv(get_method("fp"), in_channels, channels, 3, stride=2)
        stem.nonlinearity = rectifier(chosen, channels)
        self.features = nn.Sequential(stem)
        self._ends: list[int] = []
        reached = 2
        for (expansion, width, designed), (stride, dilation) in zip(
            plan, strides, strict=True
        ):
            # The stem and the block behind it have no stage of their own.
            if designed > 1 and len(self.features) > 2:
                self._end_stage(channels, reached)
            spread = dilation if dilated else 1
            options = (expansion, stride, spread, shortcuts, binary_depthwise)
            self.features.append(InvertedResidual(chosen, channels, width, *options))
            channels = width
            reached *= stride
        last = rounded_channels(LAST * max(1.0, width_multiplier), multiple)
        per_conv = shortcuts == "per_conv"
        self.features.append(
            NormalizedConv(chosen, channels, last, 1, shortcut=per_conv)
        )
        self._end_stage(last, reached)
        self.train_part(frozen_stages, norm_eval, recompute_stages)

    def _end_stage(self, channels: int, stride: int) -> None:
        """Say that the module which was added last is the end of a stage."""
        self._ends.append(len(self.features) - 1)
        self._stages.append(Stage(f"features.{self._ends[-1]}", channels, stride))

    def stem(self, x: Tensor) -> Tensor:
        return self.features[0](x)

    def first_module(self) -> str:
        return "features.1"

    def run_stage(self, index: int, x: Tensor) -> Tensor:
        before = self._ends[index - 1] if index else 0
        for k in range(before + 1, self._ends[index] + 1):
            x = self.features[k](x)
        return x
