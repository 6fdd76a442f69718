"""Stand-ins for binary convolutions and their binarizers in a network to export."""

from __future__ import annotations

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.deploy.binary_layer import (
    BinaryLayer,
    ExportError,
    read_layer,
    split_groups,
)
from cmim.deploy.compared_activation import ComparedActivation
from cmim.functional.rotation import sample_mean
from cmim.layers import (
    BinaryConv2d,
    BinaryLinear,
    BinaryWeightLayer,
    TokenActivation,
)
from cmim.methods import ActivationBinarizer, outermost


class PackedConv(nn.Module):
    """Binarizer and binary convolution in one, on real activations.

    ``forward`` computes them with integer-valued float64 sums, exactly.

    Args:
        layer: The layer to compute.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, H', W')``, float32.

    Examples:
        >>> from cmim.methods import get_method
        >>> method = get_method("bireal")
        >>> conv = BinaryConv2d(4, 2, 3, method.weight((2, 4, 3, 3)), padding=1).eval()
        >>> binarize, x = method.activation(4).eval(), torch.randn(1, 4, 5, 6)
        >>> packed = PackedConv(read_layer("conv", conv, binarize))
        >>> torch.allclose(packed(x), conv(binarize(x)), atol=1e-6)
        True
    """

    def __init__(self, layer: BinaryLayer) -> None:
        super().__init__()
        self.layer = layer
        self.size: tuple[int, int] | None = None  # of the input that came last

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        self.size = (int(x.shape[2]), int(x.shape[3]))
        if layer.centred:
            x = x - sample_mean(x)
        out = None
        for step in layer.steps:
            threshold = torch.from_numpy(step.threshold).view(-1, 1, 1)
            signs = torch.where(x >= threshold, 1.0, -1.0).double()
            for term in layer.terms:
                weight = torch.from_numpy(term.filters).double()
                part = step.half * self._convolve(signs, weight)
                if step.middle:
                    ones = signs.new_ones(1, *signs.shape[1:])
                    part = part + step.middle * self._convolve(ones, weight)
                part = part * torch.from_numpy(term.scale).view(-1, 1, 1)
                out = part if out is None else out + part
        return cast(Tensor, out).float()

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        layer = self.layer
        return F.conv2d(x, weight, None, layer.stride, layer.padding, layer.dilation)


class PackedGroups(nn.Module):
    """A grouped convolution as one :class:`PackedConv` a group, side by side.

    Args:
        layers: Of the groups, in order.

    Shape:
        ``(N, G I, H, W)`` to ``(N, G O, H', W')``, float32.
    """

    def __init__(self, layers: list[BinaryLayer]) -> None:
        super().__init__()
        self.groups = nn.ModuleList(PackedConv(layer) for layer in layers)

    def forward(self, x: Tensor) -> Tensor:
        parts = x.chunk(len(self.groups), dim=1)
        outputs = [group(p) for group, p in zip(self.groups, parts, strict=True)]
        return torch.cat(outputs, dim=1)


class PackedLinear(nn.Module):
    """A linear layer as a 1x1 :class:`PackedConv` over a row of tokens.

    Args:
        layer: The layer to compute.

    Shape:
        ``(N, *, I)`` to ``(N, *, O)``, float32.
    """

    def __init__(self, layer: BinaryLayer) -> None:
        super().__init__()
        self.conv = PackedConv(layer)

    def forward(self, x: Tensor) -> Tensor:
        row = x.reshape(x.shape[0], -1, x.shape[-1]).transpose(1, 2).unsqueeze(2)
        out = self.conv(row).squeeze(2).transpose(1, 2)
        return out.reshape(*x.shape[:-1], out.shape[-1])


def pack_layer(
    name: str, layer: BinaryWeightLayer, binarizer: ActivationBinarizer
) -> nn.Module:
    """What computes a binary layer and the binarizer in front of it.

    Args:
        name: Of the layer, for messages.
        layer: In evaluation mode.
        binarizer: In evaluation mode.

    Raises:
        ExportError: The layer has no exact form of this kind, by name.
    """
    if isinstance(layer, BinaryLinear):
        conv = BinaryConv2d(
            layer.in_features, layer.out_features, 1, layer.weight_binarizer
        )
        conv.weight = nn.Parameter(layer.filters().detach(), requires_grad=False)
        if isinstance(binarizer, TokenActivation):
            binarizer = binarizer.inner
        return PackedLinear(read_layer(name, conv.eval(), binarizer))
    if not isinstance(layer, BinaryConv2d):
        raise ExportError(
            f"{name}: a {type(layer).__name__} on binary activations has no exported "
            "form; convolutions and linear layers have one: keep this layer in full "
            "precision"
        )
    found = read_layer(name, layer, binarizer)
    if layer.groups == 1:
        return PackedConv(found)
    return PackedGroups(split_groups(found, layer.groups))


def pack_network(model: nn.Module, example: Tensor) -> tuple[nn.Module, list[str]]:
    """A copy of a network with a :class:`PackedConv` for every binary convolution.

    One forward pass finds which binarizer feeds which convolution. The
    binarizers of packed convolutions become the identity, others a
    :class:`ComparedActivation`.

    Args:
        model: In evaluation mode.
        example: An input of it.

    Returns:
        The copy, and the names of the convolutions that were packed. Convolutions of
        binary weights with real activations become plain ones.

    Raises:
        ExportError: A layer that has no exact form, by name.
    """
    model = copy.deepcopy(model).eval()
    pairs = _pairs(model, example)
    packed = []
    for name, (layer, binarizer) in pairs.items():
        new = layer.plain_layer()
        if new is None:
            raise ExportError(
                f"{name}: a {type(layer).__name__} has no exported form; convolutions "
                "and linear layers have one"
            )
        if binarizer is not None:
            new = pack_layer(name, layer, binarizer)
            packed.append(name)
        _replace(model, name, new)
    for name, module in list(model.named_modules()):
        if isinstance(module, ActivationBinarizer) and any(
            binarizer is module for _, binarizer in pairs.values()
        ):
            _replace(model, name, nn.Identity())
    for name, rest in outermost(model).items():
        assert isinstance(rest, ActivationBinarizer)
        _replace(model, name, ComparedActivation(rest))
    return model, packed


@torch.no_grad()
def _pairs(
    model: nn.Module, example: Tensor
) -> dict[str, tuple[BinaryWeightLayer, ActivationBinarizer | None]]:
    """Each layer of binary weights with the binarizer whose output it was given."""
    made: list[tuple[Tensor, ActivationBinarizer]] = []
    taken: dict[str, tuple[BinaryWeightLayer, ActivationBinarizer | None]] = {}

    def remember(module: ActivationBinarizer, args: tuple, out: Tensor) -> None:
        made.append((out, module))

    def note(name: str):
        def hook(layer: BinaryWeightLayer, args: tuple) -> None:
            source = [module for out, module in made if out is args[0]]
            taken[name] = (layer, source[-1] if source else None)

        return hook

    handles = [m.register_forward_hook(remember) for m in outermost(model).values()]
    handles += [
        module.register_forward_pre_hook(note(name))
        for name, module in model.named_modules()
        if isinstance(module, BinaryWeightLayer)
    ]
    try:
        model(example)
    finally:
        for handle in handles:
            handle.remove()
    for name, (_, binarizer) in taken.items():
        # A network without binarizers has binary weights only.
        if binarizer is None and made:
            raise ExportError(f"{name}: its input is not the output of a binarizer")
    return taken


def _replace(model: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, new)
