"""What every layer with binary weights shares, whatever it computes with them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.methods import Method, WeightBinarizer, get_method


class BinaryWeightLayer(nn.Module):
    """Mixin for a layer of torch whose weights are ``scale * sign(w)``, or a sum.

    What clips latent weights, records flips, counts costs and exports looks for this
    class. A layer puts it in front of torch's, sets ``weight_binarizer``, and computes
    its forward pass with :meth:`binary_weight`.

    The latent real weights are the parameter (named ``weight``, so that plain weights
    load). In evaluation without gradients the binary weights are computed once and
    reused until the latent weights change; the cached tensor is not part of the state.
    A change in place through ``weight.data`` leaves no trace: call ``eval()`` after it.

    Attributes:
        weight: Latent weights ``(O, I, *)``: an output value is a sum over all but the
            first dimension.
        weight_binarizer: Gives the binary weights and their surrogate gradient.
        levels: The two integers that the input holds; None for any input.

    Examples:
        >>> from cmim.methods import get_method
        >>> class BinaryLinear(BinaryWeightLayer, nn.Linear):
        ...     def forward(self, x):
        ...         return nn.functional.linear(x, self.binary_weight())
        >>> layer = BinaryLinear(2, 1, bias=False)
        >>> layer.weight_binarizer = get_method("bireal").weight((1, 2, 1, 1))
        >>> _ = layer.weight.data.copy_(torch.tensor([[0.5, -0.25]]))
        >>> layer.binary_weight().tolist()
        [[0.375, -0.375]]
    """

    weight: Tensor
    weight_binarizer: WeightBinarizer
    levels: tuple[int, int] | None = None
    _cached: tuple[list[tuple[int, int]], list[Tensor], Tensor] | None = None

    def filters(self) -> Tensor:
        """The latent weights as binarizers take them, ``(O, I, kh, kw)``."""
        missing = 4 - self.weight.dim()
        return self.weight[(..., *[None] * missing)] if missing else self.weight

    def terms(self) -> list[tuple[Tensor, Tensor]]:
        """Pairs (scale, codes in {-1, +1}) whose products add up to the weights."""
        return self.weight_binarizer.terms(self.filters())

    def code_terms(self) -> list[tuple[Tensor, Tensor]]:
        """The terms that are codes of the latent weights: all but an offset."""
        return self.weight_binarizer.code_terms(self.filters())

    def binary_weight(self) -> Tensor:
        """What the input is multiplied with, in the shape of the weights."""
        weight = self.weight
        # Inference tensors have no version, so their updates cannot be seen.
        if self.training or torch.is_grad_enabled() or weight.is_inference():
            self._cached = None
            return self._binarized()
        sources = [weight, *self.weight_binarizer.state_dict(keep_vars=True).values()]
        # data_ptr sees .to(device) and .data = ..., _version sees in-place updates.
        key = [(source.data_ptr(), source._version) for source in sources]
        if self._cached is None or self._cached[0] != key:
            # The aliases keep the memory, so that nothing else gets its address.
            aliases = [source.detach() for source in sources]
            self._cached = (key, aliases, self._binarized())
        return self._cached[2]

    def _binarized(self) -> Tensor:
        binary = self.weight_binarizer(self.filters())
        return binary if self.weight.dim() == 4 else binary.view_as(self.weight)

    def latent_forward(self, x: Tensor) -> Tensor:
        """What the layer computes with its latent weights: torch's own forward pass.

        Raises:
            NotImplementedError: The layer does not say.
        """
        raise NotImplementedError(f"{type(self).__name__} has no latent_forward")

    def plain_layer(self) -> nn.Module | None:
        """The layer of torch that computes the same on real inputs, for export.

        None for a layer that has none, which export refuses by its name.
        """
        return None

    def train(self, mode: bool = True):
        self._cached = None
        return super().train(mode)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_cached": None}


def as_method(method: str | dict | Method) -> Method:
    """A method, or the one of that name.

    Args:
        method: As for :func:`cmim.methods.get_method`, or a method itself.
    """
    return method if isinstance(method, Method) else get_method(method)


def choose_binarizer(
    layer: BinaryWeightLayer,
    weight_binarizer: WeightBinarizer | None,
    method: str | dict | Method | None,
) -> WeightBinarizer:
    """The binarizer that a layer was given, or its method's.

    Args:
        layer: Gives the shape of the weights.
        weight_binarizer: Given itself.
        method: A method or its name, in its place.

    Raises:
        ValueError: Neither or both, or a method that keeps its weights in full
            precision.
    """
    if (weight_binarizer is None) == (method is None):
        raise ValueError("give either weight_binarizer or method")
    if weight_binarizer is not None:
        return weight_binarizer
    assert method is not None
    chosen = as_method(method)
    if chosen.weight is None:
        raise ValueError(
            f"method {chosen.name!r} keeps its weights in full precision: use torch's "
            f"layer in place of {type(layer).__name__}"
        )
    o, i, kh, kw = layer.filters().shape
    return chosen.weight((o, i, kh, kw))
