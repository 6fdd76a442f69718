"""Another output stride for a network that someone else wrote."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cmim.convert.probe import Probe, probe

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
        example: A picture for the passes that show the strides.
        dilated: Replace removed strides by dilations.

    Raises:
        ValueError: No power of two; patches that a smaller stride would cut; a layer,
            by name, that still works at a higher stride, since what reduces its input
            is neither convolution nor pooling; a classifier for features of one size.
            The network is then half changed.

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
    for name, call in _reducing(probe(network, example)).items():
        before, after = call.strides
        factor = max(1, before // output_stride)
        if after > before and after > output_stride and not call.is_global:
            _set_stride(name, call.module, max(1, output_stride // before))
        if dilated and factor > 1:
            _dilate(call.module, factor)
    try:
        changed = _reducing(probe(network, example))
    except ValueError as error:
        raise ValueError(
            f"with an output stride of {output_stride} this network does not run any "
            f"more, take its classifier off first: {error}"
        ) from error
    for name, call in changed.items():
        if call.strides[0] > output_stride and not call.on_one_place:
            raise ValueError(
                f"output_stride {output_stride} cannot be had: '{name}' works at a "
                f"stride of {call.strides[0]}, since what reduces its input is neither "
                "convolution nor pooling; leave output_stride as designed"
            )


@dataclass
class _Window:
    """One call of a convolution or pooling: heights of the picture and around it."""

    module: Any
    picture: int
    source: int
    output: int

    @property
    def strides(self) -> tuple[int, int]:
        """Of its input and output."""
        return _stride(self.picture, self.source), _stride(self.picture, self.output)

    @property
    def on_one_place(self) -> bool:
        return self.source == 1

    @property
    def is_global(self) -> bool:
        """Whether the window holds the whole input."""
        side, padding = (
            value[0] if isinstance(value, tuple) else value
            for value in (self.module.kernel_size, self.module.padding)
        )
        return self.output == 1 and padding in (0, "valid") and side >= self.source


def _reducing(seen: Probe) -> dict[str, _Window]:
    """First calls of convolutions and poolings by name."""
    picture = seen.calls[-1].source
    found: dict[str, _Window] = {}
    for call in seen.calls:
        if isinstance(call.module, REDUCING) and isinstance(call.source, Tensor):
            heights = (x.shape[-2] for x in (picture, call.source, call.output))
            found.setdefault(call.name, _Window(call.module, *heights))
    return found


def _stride(picture: int, rows: int) -> int:
    """Pixels per row, a power of two: with borders that round up, or the nearest."""
    power = 1
    while power < picture:
        if -(-picture // power) == rows:
            return power
        power *= 2
    return 2 ** max(0, round(math.log2(picture / rows)))


def _set_stride(name: str, module: Any, stride: int) -> None:
    if isinstance(module, nn.Conv2d):
        if module.kernel_size == module.stride != (stride, stride):
            raise ValueError(
                f"'{name}' cuts the picture into patches of {module.kernel_size}: its "
                "stride cannot be changed; leave output_stride as designed"
            )
        module.stride = (stride, stride)
        return
    if module.kernel_size in (2, (2, 2)) and stride == 1:
        # Without its stride an even window would move all features by half a pixel.
        module.kernel_size, module.padding = 1, 0
    module.stride = stride


def _dilate(module: Any, factor: int) -> None:
    if isinstance(module, nn.AvgPool2d):
        return
    size = torch.tensor(module.kernel_size).expand(2).tolist()
    if max(size) == 1:
        return
    padding: Any = module.padding
    if isinstance(module, nn.MaxPool2d) and _times(padding, 1) != (0, 0):
        # torch pads at most half a window, dilated or not: a dense one, as wide.
        rows, columns = (factor * (side - 1) + 1 for side in size)
        module.kernel_size, module.padding = (rows, columns), _times(padding, factor)
        return
    for name in ("dilation", "padding"):
        given = getattr(module, name)
        if isinstance(given, str):
            # 'same' and 'valid' follow the dilation.
            continue
        pair = _times(given, factor)
        setattr(module, name, pair if isinstance(module, nn.Conv2d) else pair[0])
    if isinstance(module, nn.Conv2d):
        # What torch pads with where that is not zeros.
        pads = module._reversed_padding_repeated_twice
        module._reversed_padding_repeated_twice = [factor * pad for pad in pads]


def _times(value: int | tuple[int, ...], factor: int) -> tuple[int, int]:
    """Rows and columns of a setting, so many times as large."""
    rows, columns = (torch.tensor(value).expand(2) * factor).tolist()
    return rows, columns
