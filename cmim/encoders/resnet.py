"""ResNet-18 and 34 with binarized convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.encoders.pretrained import load_latent_weights
from cmim.layers import BasicBlock
from cmim.methods import get_method

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
# output stride -> (stride, dilation) of the four stages; the stem has stride 4.
STAGES = {
    32: ((1, 1), (2, 1), (2, 1), (2, 1)),
    16: ((1, 1), (2, 1), (2, 1), (1, 2)),
    8: ((1, 1), (2, 1), (1, 2), (1, 4)),
}


@MODELS.register_module()
class BinaryResNet(BaseModule):
    """ResNet whose 3x3 convolutions are binarized by a method chosen by name.

    Stem, down-sampling shortcuts and batch-norm stay full precision. Modules are named
    as in torchvision, so its weights load into the latent weights.
    ``method='fp'`` gives the full-precision twin: same topology, same names.

    Args:
        depth: 18 or 34.
        method: Name of a binarization method, or ``dict(name=..., **options)``.
        output_stride: 8, 16 or 32: input pixels per feature pixel of the last stage.
        dilated: Replace each removed stride by a dilation (DeepLab). Without it the
            field of view shrinks, which suits small crops.
        base_channels: Channels of the first stage; stages have 1, 2, 4, 8 times that.
        shortcuts: ``'per_conv'`` (Bi-Real Net) or ``'per_block'`` (ResNet).
        out_indices: Which stages are returned, 0 to 3.
        init_from: Path of a checkpoint for the latent weights: a state dict of
            torchvision's ResNet of the same depth, or a checkpoint of this project.
        init_cfg: mmengine initialisation; Kaiming normal when None.

    Shape:
        ``(N, 3, H, W)`` to a tuple of ``(N, C_i, ceil(H / s_i), ceil(W / s_i))``.

    Raises:
        ValueError: Unknown depth, method, output stride or stage.

    References:
        He et al., CVPR 2016, https://arxiv.org/abs/1512.03385;
        Liu et al., Bi-Real Net, ECCV 2018, https://arxiv.org/abs/1808.00278

    Examples:
        >>> import torch
        >>> net = BinaryResNet(depth=18, base_channels=8, output_stride=8)
        >>> [tuple(f.shape) for f in net(torch.zeros(1, 3, 65, 64))]
        [(1, 8, 17, 16), (1, 16, 9, 8), (1, 32, 9, 8), (1, 64, 9, 8)]
    """

    def __init__(
        self,
        depth: int = 18,
        method: str | dict = "bireal",
        output_stride: int = 32,
        dilated: bool = True,
        base_channels: int = 64,
        shortcuts: str = "per_conv",
        out_indices: Sequence[int] = (0, 1, 2, 3),
        init_from: str | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if depth not in BLOCKS:
            raise ValueError(f"depth {depth} is unknown; choose from 18, 34")
        if output_stride not in STAGES:
            raise ValueError(
                f"output_stride {output_stride} is unknown; choose from 8, 16, 32"
            )
        if not out_indices or not set(out_indices) <= {0, 1, 2, 3}:
            raise ValueError(
                f"out_indices {tuple(out_indices)}: choose from 0, 1, 2, 3"
            )
        chosen = get_method(method)
        self.out_indices = tuple(out_indices)
        self.init_from = init_from
        self.conv1 = nn.Conv2d(3, base_channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(base_channels)
        self.nonlinearity = chosen.nonlinearity(base_channels)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = base_channels
        for i, (stride, dilation) in enumerate(STAGES[output_stride]):
            blocks = []
            for j in range(BLOCKS[depth][i]):
                width = base_channels * 2**i
                blocks.append(
                    BasicBlock(
                        chosen,
                        channels,
                        width,
                        stride=stride if j == 0 else 1,
                        dilation=dilation if dilated else 1,
                        shortcuts=shortcuts,
                    )
                )
                channels = width
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))

    def init_weights(self) -> None:
        """Kaiming-normal convolutions, then ``init_from`` if it is given."""
        if self.init_cfg is not None:
            super().init_weights()
        else:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(
                        module.weight, mode="fan_out", nonlinearity="relu"
                    )
        if self.init_from is not None:
            load_latent_weights(self, self.init_from)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.maxpool(self.nonlinearity(self.bn1(self.conv1(x))))
        features = []
        for i in range(max(self.out_indices) + 1):
            x = self.get_submodule(f"layer{i + 1}")(x)
            if i in self.out_indices:
                features.append(x)
        return tuple(features)
