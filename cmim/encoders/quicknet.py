"""QuickNet, the network that Larq Compute Engine's authors ship."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.encoders.encoder import (
    BinaryEncoder,
    limit_strides,
    require_bands,
    require_channels,
    stage_methods,
)
from cmim.encoders.stems import grouped_stem
from cmim.layers.blur_transition import BlurTransition
from cmim.layers.conv import (
    integer_levels,
    make_activation,
    make_conv,
    make_output_scale,
)
from cmim.methods import Method
from cmim.methods.output_scale import OutputPReLU

# Blocks of each stage in QuickNet and QuickNetSmall; QuickNetLarge has (6, 8, 12, 6).
BLOCKS = (4, 4, 4, 4)
# Channels of each stage over those of the first; in QuickNetSmall (1, 2, 8, 16).
MULTIPLES = (1, 2, 4, 8)


class QuickBlock(nn.Module):
    r"""One binary 3x3 convolution with a shortcut, batch-norm behind a ReLU.

    .. math:: y = g(x + B(\max(0, s(w * b(x), x))))

    with the method's binarizers b and w, output scale s and non-linearity g (the
    identity for Bi-Real, which gives the published block). The ReLU makes counts of
    agreeing bits a one-sided number that batch-norm then centres. A method whose output
    scale ends in a PReLU of its own has that in its place.

    Args:
        method: Binarizers, output scale and non-linearity.
        channels: Of input and output.
        dilation: Dilation in pixels.

    Shape:
        ``(N, C, H, W)`` to the same.

    Examples:
        >>> import torch
        >>> from cmim.methods import get_method
        >>> block = QuickBlock(get_method("bireal"), 4).eval()
        >>> x = torch.full((1, 4, 1, 1), -2.0)
        >>> _ = nn.init.constant_(block.conv.weight, 0.5)
        >>> bool((block(x) == x).all())  # four disagreements: nothing is left
        True
    """

    def __init__(self, method: Method, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.binarize = make_activation(method, channels)
        levels = integer_levels(self.binarize)
        self.conv = make_conv(
            method, channels, channels, 3, dilation=dilation, levels=levels
        )
        self.scale = make_output_scale(method, self.conv)
        # Of some methods a PReLU is there already, whose slope a ReLU would make idle.
        own = isinstance(self.scale, OutputPReLU)
        self.relu = nn.Identity() if own else nn.ReLU()
        self.bn = nn.BatchNorm2d(channels)
        self.nonlinearity = method.nonlinearity(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.scale(self.conv(self.binarize(x)), x)
        return self.nonlinearity(x + self.bn(self.relu(out)))


@MODELS.register_module()
class BinaryQuickNet(BinaryEncoder):
    """QuickNet, whose 3x3 convolutions are binarized by a method chosen by name.

    A grouped stem of stride 4 (:func:`cmim.encoders.stems.grouped_stem`), stages of
    :class:`QuickBlock`, and a :class:`cmim.layers.blur_transition.BlurTransition` in
    front of each stage but the first; stem, transitions and batch-norm stay full
    precision. The published QuickNet is the default with ``method='bireal'``;
    QuickNetSmall has ``base_channels=32, multiples=(1, 2, 8, 16)`` and QuickNetLarge
    ``blocks=(6, 8, 12, 6)``. Compared with ``larq_zoo/sota/quicknet.py`` of
    github.com/larq/zoo, commit 77c5853: parameters of all three with the classifier
    are the published ones, and so is each layer's shape at 224x224. Other than there,
    borders of binary convolutions are padded with zeros and not with ones, strided
    convolutions are padded on both sides, and the ReLU in front of the classifier is
    left to the head.

    Args:
        method: Name of a binarization method, or ``dict(name=..., **options)``.
        output_stride: Input pixels per feature pixel of the last stage: 4 to 32.
        dilated: Replace each removed stride by a dilation (DeepLab).
        base_channels: Channels of the first stage, a multiple of 4.
        multiples: Channels of each stage over those of the first.
        blocks: Binary convolutions of each stage.
        real_stages: Which stages stay full precision, from 0.
        out_indices: Which of the four stages are returned; all when None.
        init_from: Path of a checkpoint of this project for the latent weights.
        init_cfg: mmengine initialisation; Kaiming normal when None.
        in_channels: Bands of the pictures, 3 for RGB.
        frozen_stages: See :meth:`BinaryEncoder.train_part`, likewise the next two.
        norm_eval: Keep batch-norm statistics as they are.
        recompute_stages: Less memory, more time.

    Shape:
        ``(N, in_channels, H, W)`` to a tuple of
        ``(N, C_i, ceil(H / s_i), ceil(W / s_i))``.

    Raises:
        ValueError: Unknown method, output stride or stage; channels that four does not
            divide; not four numbers of blocks or multiples of at least 1.

    References:
        Bannink et al., Larq Compute Engine: Design, Benchmark, and Deploy
        State-of-the-Art Binarized Neural Networks, MLSys 2021.
        https://arxiv.org/abs/2011.09398

    Examples:
        >>> import torch
        >>> net = BinaryQuickNet(base_channels=4, output_stride=16)
        >>> [tuple(f.shape) for f in net(torch.zeros(2, 3, 64, 66))]
        [(2, 4, 16, 17), (2, 8, 8, 9), (2, 16, 4, 5), (2, 32, 4, 5)]
    """

    def __init__(
        self,
        method: str | dict = "bireal",
        output_stride: int | None = None,
        dilated: bool = True,
        base_channels: int = 64,
        multiples: Sequence[int] = MULTIPLES,
        blocks: Sequence[int] = BLOCKS,
        real_stages: Sequence[int] = (),
        out_indices: Sequence[int] | None = None,
        init_from: str | None = None,
        init_cfg: dict | None = None,
        in_channels: int = 3,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        recompute_stages: bool = False,
    ) -> None:
        super().__init__(len(BLOCKS), out_indices, init_from, init_cfg)
        require_four("blocks", blocks)
        require_four("multiples", multiples)
        methods = stage_methods(method, real_stages, len(BLOCKS))
        base = require_channels(base_channels)
        channels = base * multiples[0]
        self.conv1 = grouped_stem(require_bands(in_channels), channels)
        self.bn1 = nn.BatchNorm2d(channels)
        reached, before = 4, 1
        limited = limit_strides((1, 2, 2, 2), output_stride, stem=4)
        for i, (stride, dilation) in enumerate(limited):
            dilation = dilation if dilated else 1
            layer = nn.Sequential()
            if i > 0:
                wider = base * multiples[i]
                layer.append(BlurTransition(channels, wider, stride, before))
                channels = wider
            layer.extend(
                QuickBlock(methods[i], channels, dilation) for _ in range(blocks[i])
            )
            reached, before = reached * stride, dilation
            self.add_stage(layer, channels, reached)
        self.train_part(frozen_stages, norm_eval, recompute_stages)

    def stem(self, x: Tensor) -> Tensor:
        return self.bn1(self.conv1(x))


def require_four(name: str, numbers: Sequence[int]) -> None:
    """A number for each stage.

    Raises:
        ValueError: Not four of at least 1.
    """
    if len(numbers) != len(BLOCKS) or min(numbers) < 1:
        raise ValueError(
            f"{name} must be four numbers of at least 1, got {tuple(numbers)}"
        )
