"""A binary layer in the place of one of a network that someone else wrote."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from cmim.convert.moments import Moments, by_channel, moments_of
from cmim.convert.phase import Phase
from cmim.convert.placed import PlacedActivation, placed
from cmim.layers import (
    BinaryConv2d,
    BinaryConvTranspose2d,
    BinaryLinear,
    BinaryWeightLayer,
    TokenActivation,
    TokenScale,
)
from cmim.layers.conv import Unscaled, integer_levels
from cmim.methods import Method, OutputScale

# A channel whose output varies less gets no gain.
LEAST_SPREAD = 1e-6


class ConvertedLayer(nn.Module):
    r"""Binarize, multiply, scale, and bring each channel to its place and spread.

    .. math:: y_o = g_o \, s(w * b(x), x)_o + c_o

    with the method's binarizers b and w and output scale s. Gain g and bias c are
    learned; :func:`cmim.convert.place_converted` starts them so that mean and deviation
    of each output channel are those of the full-precision layer, and the thresholds of
    b at the medians of its input. A layer that was not placed does that for itself with
    its first batch in training. :meth:`set_phase` lets training see other things than
    evaluation. The latent weights are the former layer's. Its state dict loads, also
    strictly: ``weight`` is taken for ``conv.weight``, what the method adds keeps its
    values, and the layer is to be placed again.

    Args:
        layer: The full-precision layer.
        method: Binarizers and output scale.
        former: The non-linearity that stood in front of the layer and was left out;
            the full-precision layer is computed with it.

    Shape:
        As the layer's.

    Examples:
        >>> from cmim.methods import get_method
        >>> layer = ConvertedLayer(nn.Conv2d(4, 2, 1), get_method("bireal"))
        >>> layer(torch.randn(1, 4, 3, 3)).shape
        torch.Size([1, 2, 3, 3])
    """

    placed: Tensor

    def __init__(
        self,
        layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear,
        method: Method,
        former: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.former = former
        self.tokens = isinstance(layer, nn.Linear)
        channels, outputs = _channels(layer)
        self.binarize: nn.Module = nn.Identity()
        if method.activation is not None:
            inner = placed(method.activation(channels), channels)
            self.binarize = TokenActivation(inner) if self.tokens else inner
        self.conv = make_binary(layer, method, self.binarize)
        self.scale = _output_scale(layer, method)
        self.gain = nn.Parameter(torch.ones(outputs))
        bias = torch.zeros(outputs) if layer.bias is None else layer.bias.detach()
        self.bias = nn.Parameter(bias.clone())
        self.register_buffer("placed", torch.zeros((), dtype=torch.bool))
        # Whether ``placed`` was looked at: reading it at each step would wait for it.
        self._looked = False
        self.phase = Phase.BINARY
        self._keeps_output = False
        self.to(layer.weight)

    def set_phase(self, phase: Phase, keep_output: bool = False) -> None:
        """Choose what training computes from now on.

        It is no part of the state: what chooses it chooses it again in a resumed run.

        Args:
            phase: A layer that was placed must not become ``LATENT``, since its bias is
                no longer that of the full-precision layer.
            keep_output: Weights that become binary take a new gain and bias with the
                next batch in training, so that mean and deviation of each output
                channel stay what they are with real weights.
        """
        self.phase, self._keeps_output = phase, keep_output
        self._looked = False

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            if self.phase is Phase.LATENT:
                return self.latent_forward(x)
            self._prepare(x.detach())
        real = self.training and self.phase is Phase.REAL_WEIGHTS
        return self._scaled(self.multiply(x, real))

    def _prepare(self, x: Tensor) -> None:
        if not self._looked:
            self._looked = True
            if not bool(self.placed):
                self._alone(self._place_alone, x)
        if self._keeps_output:
            self._keeps_output = False
            self._alone(self._keep_output, x)

    def _scaled(self, out: Tensor) -> Tensor:
        gain, bias = (self.per_channel(v).to(out.dtype) for v in (self.gain, self.bias))
        return out * gain + bias

    def multiply(self, x: Tensor, real_weights: bool = False) -> Tensor:
        """The output without gain and bias.

        Args:
            x: The layer's input.
            real_weights: Take the latent weights in place of the binary ones.
        """
        conv, codes = self.conv, self.binarize(x)
        if real_weights and isinstance(conv, BinaryWeightLayer):
            return self.scale(conv.latent_forward(codes), x)
        return self.scale(conv(codes), x)

    def latent_forward(self, x: Tensor) -> Tensor:
        """What the full-precision layer gave, as long as this one is not placed."""
        conv = self.conv
        if self.former is not None:
            x = self.former(x)
        out = conv.latent_forward(x) if isinstance(conv, BinaryWeightLayer) else conv(x)
        return out + self.per_channel(self.bias).to(out.dtype)

    @torch.no_grad()
    def place(self, moments: Moments, x: Tensor) -> Tensor:
        """Put thresholds where the activations lie, and the output where it was.

        Args:
            moments: Of the full-precision layer.
            x: The input in the binary network.

        Returns:
            The output for x.
        """
        activation = self.activation()
        if activation is not None:
            activation.place(moments.median, moments.spread, moments.sample)
        out = self.multiply(x, self.phase is Phase.REAL_WEIGHTS)
        self._match(out, moments.mean, moments.deviation)
        self.placed.fill_(True)
        return self._scaled(out)

    def _match(self, out: Tensor, mean: Tensor, deviation: Tensor) -> None:
        """Gain and bias that give an output these means and deviations."""
        own, own_mean = self._spread_and_mean(out)
        gain = torch.where(own < LEAST_SPREAD, 1.0, deviation / own.clamp(min=1e-30))
        self.gain.copy_(gain)
        self.bias.copy_(mean - gain * own_mean)

    def _spread_and_mean(self, out: Tensor) -> tuple[Tensor, Tensor]:
        return torch.std_mean(by_channel(out, self.tokens), dim=1, correction=0)

    def share(self) -> None:
        """All processes take the first one's thresholds, gain and bias."""
        if not (dist.is_available() and dist.is_initialized()):
            return
        activation = self.activation()
        values: list[Tensor] = [self.gain, self.bias]
        if activation is not None:
            values += [activation.shift, activation.spread]
        for value in values:
            dist.broadcast(value.data, 0)

    @torch.no_grad()
    def _alone(self, change: Callable[[Tensor], None], x: Tensor) -> None:
        """Change the layer by a batch, as evaluation computes; all processes alike."""
        training, kind = self.training, x.device.type
        self.eval()
        with torch.autocast(kind, enabled=False):
            change(x.to(self.gain.dtype))
        self.train(training)
        self.share()

    def _place_alone(self, x: Tensor) -> None:
        self.place(moments_of(x, self.latent_forward(x), self.tokens), x)

    def _keep_output(self, x: Tensor) -> None:
        deviation, mean = self._spread_and_mean(self._scaled(self.multiply(x, True)))
        self._match(self.multiply(x), mean, deviation)

    def activation(self) -> PlacedActivation | None:
        """The binarizer whose thresholds can be placed."""
        binarize = self.binarize
        if isinstance(binarize, TokenActivation):
            binarize = binarize.inner
        return binarize if isinstance(binarize, PlacedActivation) else None

    def per_channel(self, values: Tensor) -> Tensor:
        """A value an output channel, in the shape that multiplies the output."""
        return values if self.tokens else values.view(-1, 1, 1)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs) -> None:
        former, own = f"{prefix}weight", f"{prefix}conv.weight"
        if former in state_dict and own not in state_dict:
            state_dict[own] = state_dict.pop(former)
            # Of other weights gain and bias, so that they are to be placed again.
            self._looked = False
            fresh = {
                "gain": torch.ones_like(self.gain),
                "bias": torch.zeros_like(self.bias),
                "placed": torch.zeros_like(self.placed),
            }
            for name, value in {**self.state_dict(), **fresh}.items():
                state_dict.setdefault(prefix + name, value)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _channels(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> tuple[int, int]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


def make_binary(layer: nn.Module, method: Method, binarize: nn.Module) -> nn.Module:
    """The binary layer of a method with a layer's geometry and weights, without bias.

    Args:
        layer: A convolution, transposed convolution or linear layer.
        method: Its weight binarizer; a plain layer where it keeps weights real.
        binarize: What stands in front of it.
    """
    if method.weight is None:
        plain = copy.deepcopy(layer)
        plain.register_parameter("bias", None)
        return plain
    names = ["kernel_size", "stride", "padding", "dilation"]
    made: BinaryWeightLayer
    if isinstance(layer, nn.Linear):
        made = BinaryLinear(layer.in_features, layer.out_features, method=method)
    elif isinstance(layer, nn.ConvTranspose2d):
        geometry = {name: getattr(layer, name) for name in [*names, "output_padding"]}
        made = BinaryConvTranspose2d(
            layer.in_channels, layer.out_channels, **geometry, method=method
        )
    else:
        assert isinstance(layer, nn.Conv2d)
        geometry = {name: getattr(layer, name) for name in [*names, "groups"]}
        levels = integer_levels(binarize)
        made = BinaryConv2d(
            layer.in_channels,
            layer.out_channels,
            **geometry,
            levels=levels,
            method=method,
        )
    made.weight = nn.Parameter(layer.weight.detach().clone())
    return made


def _output_scale(layer: nn.Module, method: Method) -> OutputScale:
    if method.output_scale is None:
        return Unscaled()
    if isinstance(layer, nn.Linear):
        point = nn.Conv2d(layer.in_features, layer.out_features, 1, device="meta")
        # Some scales begin at what the weights say.
        point.weight = nn.Parameter(layer.weight.detach()[..., None, None])
        return TokenScale(method.output_scale(point))
    if not isinstance(layer, nn.Conv2d) or layer.groups != 1:
        raise ValueError(
            f"method {method.name!r} scales outputs of plain convolutions only: keep "
            "grouped and transposed ones in full precision (keep=)"
        )
    return method.output_scale(layer)
