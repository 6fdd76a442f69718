"""Operations that the raw format has, as modules for images of three channels."""

from __future__ import annotations

import torch
from network_cases import disturb
from torch import nn


class Operation(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def resized(*size: int) -> Operation:
    return Operation(
        lambda x: nn.functional.interpolate(
            x, size, mode="bilinear", align_corners=False
        )
    )


def unit(x: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
    return nn.functional.normalize(x, dim=1, eps=eps)


MAP = torch.linspace(1, 2, 9 * 11).view(9, 11)
CHANNEL = torch.tensor([0.5, 2.0, -3.0]).view(3, 1, 1)
RESIZED = {
    "larger": resized(20, 23),
    "smaller": resized(4, 5),
    "taller_and_narrower": resized(31, 2),
    "one_pixel": resized(1, 1),
    "one_row": resized(1, 11),
    "of_one_pixel": nn.Sequential(nn.AdaptiveAvgPool2d(1), resized(4, 5)),
    "twice_as_large": nn.Upsample(scale_factor=2.0, mode="bilinear"),
}
OPERATIONS = {
    "conv": nn.Conv2d(3, 4, 3, stride=2, padding=2, dilation=2),
    "rectangle": nn.Conv2d(3, 4, (1, 3), stride=(1, 2), padding=(0, 1)),
    "depthwise": nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3),
    "groups": nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.Conv2d(8, 6, (1, 3), groups=2), nn.BatchNorm2d(6)
    ),
    "batch_norm": disturb(nn.BatchNorm2d(3, affine=False)),
    "prelu": nn.PReLU(3, 0.3),
    "one_slope": nn.PReLU(1, 0.3),
    "pointwise": nn.Sequential(
        nn.Hardtanh(-0.5, 0.7), Operation(lambda x: x.abs().clamp(min=0.1).exp())
    ),
    # Up to some hundreds, of which the exponential would overflow.
    "sigmoid": Operation(lambda x: (100 * x).sigmoid() + x.sigmoid()),
    "relu_in_place": nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True)),
    "max_pool": nn.MaxPool2d(3, 2, 1),
    "max_pool_ceil": nn.MaxPool2d(2, ceil_mode=True),
    "max_pool_dilated": nn.MaxPool2d(3, 2, 1, dilation=2),
    "avg_pool_ceil": nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
    "avg_pool_inside": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "global": nn.AdaptiveAvgPool2d(1),
    "windows": nn.AdaptiveAvgPool2d((3, 11)),
    "windows_that_overlap": nn.AdaptiveAvgPool2d((2, 6)),
    "more_windows_than_rows": nn.AdaptiveAvgPool2d((12, 1)),
    **RESIZED,
    "unit": Operation(unit),
    # Of a third of the pixels the length is 0, of others below eps.
    "short_and_zero": Operation(lambda x: unit((x - 0.5).relu(), eps=0.8)),
    "length": Operation(lambda x: torch.linalg.vector_norm(x, dim=(1, 3))),
    "length_kept": Operation(lambda x: x.norm(dim=(2, 3), keepdim=True) - x),
    "pooled_linear": nn.Sequential(
        Operation(lambda x: x.mean(dim=(2, 3))), nn.Linear(3, 5, bias=False)
    ),
    "broadcast": Operation(lambda x: x.mean((2, 3), True).expand(-1, -1, 4, 5)),
    "concat": Operation(lambda x: torch.cat([x, 2 * x], 1)),
    "concat_rows": Operation(lambda x: torch.cat([x, x], -2)),
    "slice": Operation(lambda x: x[:, 1:, ::2, -3:]),
    "split": Operation(lambda x: torch.cat(x.split(4, dim=2)[::-1], 2)),
    "line": Operation(lambda x: x.mean(3, True).mean(2, True).transpose(1, 3)),
    "zeros_around": Operation(lambda x: nn.functional.pad(x, (0, 1, 2, 0, 1, 1))),
    "both": Operation(lambda x: (x + x.abs()) * x - x / (x.abs() + 1)),
    "map": Operation(lambda x: MAP * x + (MAP - x) / MAP - 1 / (x.abs() + MAP)),
    "channels": Operation(lambda x: (2 - x) * CHANNEL / 3 - CHANNEL + 0),
    "scalar_over": Operation(lambda x: 2.0 / (x.abs() + 1)),
    "box": Operation(
        lambda x: nn.functional.conv2d(x[:, :1], x.new_full((1, 1, 3, 3), 1 / 9))
    ),
}


def rounding(name: str) -> float:
    """How far apart two engines may be: some find where pixels lie in float32."""
    return 1e-5 if name in RESIZED else 1e-6
