r"""LNS: codes from a learned mapping of whole filters, supervised by noisy signs.

Han, Wang, Xu, Xu, Wu, Xu, Training Binary Neural Networks through Learning with Noisy
Supervision, ICML 2020. https://arxiv.org/abs/2010.04871

Forward: activations ``sign(a)``; weights ``sign(q)`` of ``q = f(w)``, where f is a
small network that sees each filter as an image of I channels: three 3x3 convolutions
I -> 2I -> 2I -> I, batch-norm and ReLU after the first two. No scaling factor.
Backward: activations ``1{|a| <= 1}``; weights the identity to q, and on through f to
the mapping and to w.
Loss: per layer ``loss_weight`` times the mean over its weights of the unbiased error
``((1 - rho) (q - y)^2 - rho (q + y)^2)/(1 - 2 rho)`` with the noisy label
``y = sign(w)``, a constant. It is ``q^2 - 2 q y/(1 - 2 rho) + 1``: a pull towards
``y/(1 - 2 rho)``, and negative at its least. :class:`cmim.models.CMIM` adds it to the
task's losses; without that wrapper the mapping learns from the task alone.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, classifier. In training
also the mapping: 72 I^2 weights, 8 times those of a 3x3 layer where I = O, and about
15 times the layer's weights kept for the backward pass. Deployed are the codes.

The paper starts from a trained binary network. With an untrained mapping its codes are
lost at first; ``residual=True`` (not in the paper) adds ``w / mean|w|`` to f, whose
last convolution then starts at zero: the first codes are ``sign(w)``.

Checked: nothing to run, the authors withhold their code (github.com/zhaohui-yang/
Binary-Neural-Networks, commit 64174ee). The shapes of the mapping, the squared error,
its gradient in q and the equal rates are as a third party's summary of the paper gives
them; the paper itself was not at hand. Not established, chosen here: a mapping without
biases that ends linearly; codes ``sign(q)`` with the identity gradient; labels of the
present w, where those of the trained network, kept, are another reading; the mean in
place of the sum; the defaults of ``loss_weight`` and ``flip_rate`` (the summary says
that accuracy falls from 0.2 on). The mapping's batch-norm takes the statistics of the
layer's own filters in evaluation too, so that codes depend on the weights alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d

from cmim.functional.noisy_supervision import unbiased_squared_error
from cmim.functional.sign import identity_sign, sign
from cmim.functional.weight_scale import mean_abs_per_filter
from cmim.methods.auxiliary_loss import WithAuxiliaryLoss
from cmim.methods.binarizer import ScaledSignWeight
from cmim.methods.bnn import BnnActivation
from cmim.methods.method import Method


class FilterNorm(nn.Module):
    """Batch-norm over the filters of one layer, with their statistics at all times.

    No ``nn.BatchNorm2d``: conversion to synchronised batch-norm must leave it alone,
    since every process has the same filters.

    Args:
        channels: Channels of the features.

    Shape:
        ``(O, C, kh, kw)`` to the same shape.

    Examples:
        >>> x = torch.tensor([3.0, 5.0]).view(2, 1, 1, 1)
        >>> FilterNorm(1)(x).flatten().round().tolist()
        [-1.0, 1.0]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return batch_norm(x, None, None, self.weight, self.bias, training=True)


class FilterConv(nn.Module):
    """3x3 convolution of filters, without bias, padded to the same size.

    No ``nn.Conv2d``: encoders initialise those anew, and costs count them.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.

    Shape:
        ``(O, C, kh, kw)`` to ``(O, D, kh, kw)``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, padding=1)


class FilterMapping(nn.Sequential):
    """Three 3x3 convolutions over each filter, seen as an image of I channels.

    Args:
        channels: Input channels I of the layer.
        start_at_zero: The last convolution starts at zero.

    Shape:
        ``(O, I, kh, kw)`` to the same shape; two values or more a channel.

    Examples:
        >>> FilterMapping(4, start_at_zero=True)(torch.randn(8, 4, 3, 3)).sum().item()
        0.0
    """

    def __init__(self, channels: int, start_at_zero: bool = False) -> None:
        wide = 2 * channels
        last = FilterConv(wide, channels)
        if start_at_zero:
            nn.init.zeros_(last.weight)
        super().__init__(
            FilterConv(channels, wide),
            FilterNorm(wide),
            nn.ReLU(),
            FilterConv(wide, wide),
            FilterNorm(wide),
            nn.ReLU(),
            last,
        )


class LnsWeight(WithAuxiliaryLoss, ScaledSignWeight):
    """``sign(f(w))``, with the unbiased error of ``f(w)`` to ``sign(w)`` as a loss.

    Args:
        channels: Input channels of the layer.
        loss_weight: Weight of the loss, >= 0.
        flip_rate: rho, from 0 to below 0.5.
        residual: Start at ``sign(w)``.

    Shape:
        ``(O, I, kh, kw)`` to the same shape; two weights or more a channel.

    Examples:
        >>> binarize = LnsWeight(2, 1.0, 0.1, residual=True)
        >>> weight = torch.tensor([[0.5, -2.0], [0.0, -1.0]]).view(2, 2, 1, 1)
        >>> binarize(weight).flatten().tolist()
        [1.0, -1.0, 1.0, -1.0]
        >>> round(binarize.auxiliary_loss.item(), 3)  # mean of q^2 - 2.5 |q| + 1
        0.18
    """

    def __init__(
        self, channels: int, loss_weight: float, flip_rate: float, residual: bool
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.flip_rate = flip_rate
        self.residual = residual
        self.mapping = FilterMapping(channels, start_at_zero=residual)

    def predict(self, weight: Tensor) -> Tensor:
        """q, real and differentiable, ``(O, I, kh, kw)``."""
        # Autocast would give training other codes than evaluation and export have.
        with torch.autocast(weight.device.type, enabled=False):
            predicted = self.mapping(weight)
        if self.residual:
            mean = mean_abs_per_filter(weight.detach())
            mean = mean.clamp(min=torch.finfo(mean.dtype).tiny)
            predicted = predicted + weight / mean
        return predicted

    def forward(self, weight: Tensor) -> Tensor:
        predicted = self.predict(weight)
        if self.training:
            label = sign(weight.detach())
            error = unbiased_squared_error(
                predicted, label, self.flip_rate, self.flip_rate
            )
            self.leave_auxiliary_loss(self.loss_weight * error.mean())
        return identity_sign(predicted)

    @torch.no_grad()
    def sign(self, weight: Tensor) -> Tensor:
        return sign(self.predict(weight))

    def scale(self, weight: Tensor) -> Tensor:
        return weight.new_ones(weight.shape[0], 1, 1, 1)

    def extra_repr(self) -> str:
        return (
            f"loss_weight={self.loss_weight}, flip_rate={self.flip_rate}, "
            f"residual={self.residual}"
        )


def METHOD(
    loss_weight: float = 1.0, flip_rate: float = 0.1, residual: bool = False
) -> Method:
    """LNS.

    Args:
        loss_weight: Weight of each layer's loss (the paper's alpha), >= 0.
        flip_rate: Share rho of the signs that is taken to be wrong, from 0 to below
            0.5; 0 trusts them.
        residual: Add the standardised weight to the mapping, so that training starts
            with the codes ``sign(w)`` of pretrained weights. Not in the paper.

    Raises:
        ValueError: A negative weight, or a rate outside [0, 0.5).

    Examples:
        >>> METHOD().weight((8, 4, 3, 3)).mapping[0].weight.shape
        torch.Size([8, 4, 3, 3])
    """
    if loss_weight < 0:
        raise ValueError(f"method 'lns' needs loss_weight >= 0, got {loss_weight}")
    if not 0 <= flip_rate < 0.5:
        raise ValueError(f"method 'lns' needs 0 <= flip_rate < 0.5, got {flip_rate}")
    return Method(
        name="lns",
        paper="Han et al., LNS, ICML 2020. https://arxiv.org/abs/2010.04871",
        weight=lambda shape: LnsWeight(shape[1], loss_weight, flip_rate, residual),
        activation=lambda channels: BnnActivation(),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, classifier; "
        "in training the mapping",
        checked="no published code; mapping and loss from a summary of the paper, "
        "start, label and defaults not established",
    )
