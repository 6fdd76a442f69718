"""What a method makes for maps, on tokens, whose channels come last."""

from __future__ import annotations

from torch import Tensor, nn

from cmim.methods import ActivationBinarizer, OutputScale
from cmim.methods.binarizer import Step


class TokenActivation(ActivationBinarizer):
    """A method's binarizer on tokens ``(N, L, C)`` in place of maps ``(N, C, L)``.

    Args:
        inner: The binarizer, for ``C`` channels.

    Shape:
        ``(N, *, C)`` to the same shape.

    Examples:
        >>> import torch
        >>> from cmim.methods import get_method
        >>> inner = get_method("reactnet").activation(2)
        >>> _ = inner.shift.data.copy_(torch.tensor([0.5, 0.0]))
        >>> TokenActivation(inner)(torch.full((1, 1, 2), -0.3)).tolist()
        [[[1.0, -1.0]]]
    """

    def __init__(self, inner: ActivationBinarizer) -> None:
        super().__init__()
        self.inner = inner
        self.static = inner.static
        self.even = inner.even

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.movedim(-1, 1)).movedim(1, -1)

    def steps(self, x: Tensor) -> list[Step]:
        # From the right, the channels of a map lie so far in front.
        place = 1 - x.dim()
        return [
            Step(
                _moved(step.threshold, place),
                _level_moved(step.low, place),
                _level_moved(step.high, place),
            )
            for step in self.inner.steps(x.movedim(-1, 1))
        ]


def _moved(value: Tensor, place: int) -> Tensor:
    """A threshold or level that belongs to channels, with the channels last."""
    return value.movedim(place, -1) if value.dim() >= -place > 1 else value


def _level_moved(value: Tensor | float, place: int) -> Tensor | float:
    return _moved(value, place) if isinstance(value, Tensor) else value


class TokenScale(OutputScale):
    """A method's output scale behind a linear layer, whose channels come last.

    Args:
        inner: The scale of a 1x1 convolution.

    Shape:
        ``(N, *, O)`` and the activation ``(N, *, I)`` to ``(N, *, O)``.
    """

    def __init__(self, inner: OutputScale) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, out: Tensor, activation: Tensor) -> Tensor:
        scaled = self.inner(_as_row(out), _as_row(activation))
        return scaled.squeeze(2).transpose(1, 2).reshape(out.shape)


def _as_row(x: Tensor) -> Tensor:
    return x.reshape(x.shape[0], -1, x.shape[-1]).transpose(1, 2).unsqueeze(2)


def over_tokens(module: nn.Module, x: Tensor) -> Tensor:
    """What a module for maps, such as a batch-norm, makes of tokens.

    Args:
        module: Of maps ``(N, C, H, W)``, to as many places.
        x: Tokens ``(N, L, C)``.

    Returns:
        ``(N, L, C')``.

    Examples:
        >>> import torch
        >>> halves = nn.Conv2d(2, 1, 1, bias=False)
        >>> _ = halves.weight.data.fill_(0.5)
        >>> over_tokens(halves, torch.tensor([[[1.0, 3.0], [0.0, 2.0]]])).tolist()
        [[[2.0], [1.0]]]
    """
    return module(_as_row(x)).squeeze(2).transpose(1, 2)
