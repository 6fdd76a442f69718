"""Another output stride for a network that someone else wrote."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cmim.convert.probe import probe

REDUCING = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def set_output_stride(
    network: nn.Module,
    output_stride: int,
    example: Tensor | None = None,
    dilated: bool = True,
) -> None:
    """Take strides out of a convolutional network, in place.

    A convolution or pooling that would pass the output stride gets stride 1; with
    ``dilated`` what follows it sees as far as before, through dilated kernels
    (DeepLab).

    Args:
        network: Its modules are changed.
        output_stride: Input pixels per feature pixel that no layer passes.
        example: A picture for the pass that shows the strides.
        dilated: Replace removed strides by dilations.

    Raises:
        ValueError: No power of two, or a layer that reduces its input and is neither
            convolution nor pooling.

    References:
        Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation,
        2017. https://arxiv.org/abs/1706.05587

    Examples:
        >>> net = nn.Sequential(
        ...     nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1),
        ...     nn.Conv2d(4, 4, 3, 1, 1))
        >>> set_output_stride(net, 2, torch.zeros(1, 3, 16, 16))
        >>> net[1].stride, net[1].dilation, net[2].dilation
        ((1, 1), (1, 1), (2, 2))
    """
    if output_stride < 1 or output_stride & (output_stride - 1):
        raise ValueError(f"output_stride must be a power of two, got {output_stride}")
    seen = probe(network, example)
    height = max(
        call.source.shape[2]
        for call in seen.calls
        if isinstance(call.source, Tensor) and call.source.dim() == 4
    )
    done: set[str] = set()
    for call in seen.calls:
        module, source, output = call.module, call.source, call.output
        if not isinstance(module, REDUCING) or call.name in done:
            continue
        done.add(call.name)
        before, after = (round(height / x.shape[2]) for x in (source, output))
        factor = max(1, before // output_stride)
        if after > before and after > output_stride and output.shape[2] > 1:
            stride = max(1, output_stride // before)
            _set_stride(call.name, module, stride)
        if dilated and factor > 1:
            _dilate(module, factor)


def _set_stride(name: str, module: Any, stride: int) -> None:
    if isinstance(module, nn.Conv2d):
        if stride == 1 and module.kernel_size == module.stride != (1, 1):
            raise ValueError(
                f"'{name}' cuts the picture into patches of {module.kernel_size}: its "
                "stride cannot be taken out; leave output_stride as designed"
            )
        module.stride = (stride, stride)
        return
    if module.kernel_size in (2, (2, 2)) and stride == 1:
        # Without its stride an even window would move all features by half a pixel.
        module.kernel_size, module.padding = 1, 0
    module.stride = stride


def _dilate(module: nn.Module, factor: int) -> None:
    if isinstance(module, nn.AvgPool2d):
        return
    size = torch.tensor(module.kernel_size).expand(2).tolist()
    if max(size) == 1:
        return
    for name in ("dilation", "padding"):
        value = torch.tensor(getattr(module, name)).expand(2) * factor
        pair = tuple(value.tolist())
        setattr(module, name, pair if isinstance(module, nn.Conv2d) else pair[0])
