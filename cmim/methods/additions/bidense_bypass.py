r"""BiDense's channel-adaptive full-precision bypass.

Yin, BiDense: Binarization for Dense Prediction, 2024.
https://arxiv.org/abs/2411.10346

Forward: where a shortcut changes resolution or channels, the activation is averaged
over ``stride x stride`` pixels and its channels are repeated (more) or averaged in
groups (fewer), see :func:`cmim.functional.channel_bypass.fit_channels`. There are no
weights and no batch-norm: the real activation itself goes past the binary convolution.
Backward: exact.

Full precision: as the method; the down-sampling shortcuts hold no weights any more.

Surprises: a plain network's 1x1 shortcut weights have no place here; ``init_from``
leaves them out. The full-precision twin keeps its own 1x1 shortcuts.

Checked: channels against ``channel_adaptive_bypass`` of github.com/frickyinn/BiDense,
commit e593da1, for 1 to 19 input and 1 to 59 output channels: equal, gradients at most
1.4e-14 apart in float64. It fails where one channel is left over. Strides: its average
pooling, without the ceiling for odd sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from cmim.functional.channel_bypass import fit_channels
from cmim.methods.method import Method


class ChannelAdaptiveBypass(nn.Module):
    """Mean over ``stride x stride`` pixels, then repeated or averaged channels.

    Args:
        in_channels: I.
        out_channels: O.
        stride: Stride in pixels.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, ceil(H / stride), ceil(W / stride))``.

    Examples:
        >>> import torch
        >>> x = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
        >>> ChannelAdaptiveBypass(1, 2, stride=2)(x).flatten().tolist()
        [3.0, 3.0]
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            # ceil_mode keeps odd sizes equal to those of the strided 3x3 convolution.
            x = F.avg_pool2d(x, self.stride, ceil_mode=True, count_include_pad=False)
        return fit_channels(x, self.out_channels)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, stride={self.stride}"


def ADDITION() -> Callable[[Method], Method]:
    """BiDense's bypass.

    Examples:
        >>> from cmim.methods import get_method
        >>> ADDITION()(get_method("bireal")).bypass(4, 8, 2)
        ChannelAdaptiveBypass(4, 8, stride=2)
    """

    def apply(method: Method) -> Method:
        return replace(
            method,
            name=f"{method.name}+bidense_bypass",
            paper=f"{method.paper}; Yin, BiDense, 2024. "
            "https://arxiv.org/abs/2411.10346",
            bypass=ChannelAdaptiveBypass,
            full_precision=f"{method.full_precision}; shortcuts without weights",
            checked=f"{method.checked}; BiDense's bypass: 1.4e-14",
        )

    return apply
