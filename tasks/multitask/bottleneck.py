"""A variational information bottleneck between encoder and heads."""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn


def gaussian_information(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Divergence of a Gaussian from the standard one, in nats a place.

    .. math::
        \frac{1}{N H W} \sum_{n, h, w} \mathrm{KL}(\mathcal{N}(\mu, \sigma^2) \|
        \mathcal{N}(0, 1)) = \frac{1}{2 N H W} \sum \mu^2 + \sigma^2 - \log \sigma^2 - 1

    summed over channels, averaged over images and places: an upper bound on what the
    code of a place says about the image.

    Args:
        mean: mu.
        log_variance: log sigma^2.

    Shape:
        Both ``(N, C, H, W)``; output a scalar.

    References:
        Alemi, Fischer, Dillon, Murphy, Deep Variational Information Bottleneck, ICLR
        2017. https://arxiv.org/abs/1612.00410

    Examples:
        >>> mean = torch.tensor([3.0, 1.0]).view(1, 2, 1, 1)
        >>> gaussian_information(mean, torch.zeros(1, 2, 1, 1)).item()
        5.0
    """
    each = mean.square() + log_variance.exp() - log_variance - 1
    return each.sum(dim=1).mean() / 2


@MODELS.register_module()
class InformationBottleneck(nn.Module):
    r"""A Gaussian code of the encoder's last feature map, for a joint model.

    .. math::
        z = \mu(x) + \sigma(x) \epsilon, \quad \epsilon \sim \mathcal{N}(0, 1), \qquad
        L = \beta\, \mathrm{KL}(\mathcal{N}(\mu, \sigma^2) \| \mathcal{N}(0, 1))

    In evaluation ``z = mu``. Both are 1x1 convolutions in full precision; mu starts as
    the identity and sigma at 0.1, so that training starts from the features as they
    are.

    Of Bi-MTDP's paper, which this follows, it is established that such a layer stands
    behind the backbone and makes the tasks' representation Gaussian. Its repository
    (github.com/42Shawn/BiMTDP, commit 4ce0175) holds a title and no code. What could
    not be established: the form of mu and sigma, their initial values, beta, and
    whether the divergence is a sum or a mean. The choices above and beta are ours.

    Args:
        channels: Channels of the last feature map.
        beta: Weight of the divergence, >= 0.

    Raises:
        ValueError: A negative beta.

    Shape:
        tuple of feature maps to the same tuple with its last ``(N, C, H, W)`` coded.

    References:
        Shang, Xu, Liu, Kompella, Yan, Efficient Multitask Dense Predictor via
        Binarization, CVPR 2024. https://arxiv.org/abs/2405.14136

    Examples:
        >>> layer = InformationBottleneck(2).eval()
        >>> x = torch.tensor([3.0, 1.0]).view(1, 2, 1, 1)
        >>> (code,), loss = layer((x,))
        >>> torch.equal(code, x), loss is None
        (True, True)
    """

    def __init__(self, channels: int, beta: float = 1e-4) -> None:
        super().__init__()
        if not beta >= 0:
            raise ValueError(f"beta must not be negative, got {beta}")
        self.beta = beta
        self.mean = nn.Conv2d(channels, channels, 1)
        self.log_variance = nn.Conv2d(channels, channels, 1)
        nn.init.dirac_(self.mean.weight)
        nn.init.zeros_(self.log_variance.weight)
        self.mean.bias = nn.Parameter(torch.zeros(channels))
        self.log_variance.bias = nn.Parameter(torch.full((channels,), -4.6))

    def forward(
        self, features: tuple[Tensor, ...]
    ) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """The features with a coded last one; in training also the loss."""
        *others, last = features
        if not self.training:
            return (*others, self.mean(last)), None
        with torch.autocast(last.device.type, enabled=False):
            last = last.to(self.mean.weight.dtype)
            mean, log_variance = self.mean(last), self.log_variance(last)
            loss = self.beta * gaussian_information(mean, log_variance)
            code = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        return (*others, code), loss
