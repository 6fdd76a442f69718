"""A lower bound on the mutual information of two features, by a fitted critic."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.functional.contrastive import info_nce

PROJECTION = 64
TEMPERATURE = 0.1
LEARNING_RATE = 3e-3
# Steps between two looks at the images that choose when to stop.
LOOK_EVERY = 20


class Bound(NamedTuple):
    """A measured bound.

    Attributes:
        bits: Lower bound on the mutual information in bits; 0 where the critic found
            nothing that holds on other images.
        ceiling: Logarithm of the number of candidates in bits, which the bound never
            exceeds, whatever the true mutual information.
    """

    bits: float
    ceiling: float


class _Critic(nn.Module):
    """Cosine of two linear projections over a temperature, all learned."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__()
        self.left = nn.Linear(left, PROJECTION)
        self.right = nn.Linear(right, PROJECTION)
        self.log_sharpness = nn.Parameter(torch.tensor(-math.log(TEMPERATURE)))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        z_x = F.normalize(self.left(x), dim=1)
        z_y = F.normalize(self.right(y), dim=1)
        return z_x @ z_y.T * self.log_sharpness.exp()


def split_images(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows to fit on, rows that choose when to stop, rows to measure on, by image.

    Half, a quarter and a quarter of the images: no image is in two parts.

    Args:
        images: ``(M,)`` int64, the image of each row.

    Returns:
        Three boolean masks ``(M,)``.

    Raises:
        ValueError: Fewer than four images.

    Examples:
        >>> [mask.tolist() for mask in split_images(torch.tensor([0, 1, 2, 3]))]
        [[True, False, True, False], [False, True, False, False],
         [False, False, False, True]]
    """
    numbers, place = images.unique(return_inverse=True)
    if len(numbers) < 4:
        raise ValueError(
            f"{len(numbers)} images are too few to fit a critic on some and measure on "
            "others; give at least 4"
        )
    return place % 2 == 0, place % 4 == 1, place % 4 == 3


def critic_bound(
    x: Tensor,
    y: Tensor,
    images: Tensor,
    steps: int = 200,
    candidates: int = 256,
    seed: int = 0,
) -> Bound:
    r"""Lower bound on I(x; y) that a small critic, fitted here, reaches on new images.

    .. math::
        I(x; y) \ge \log_2 K - \tfrac{1}{2 \ln 2} \big(\mathrm{NCE}(S)
            + \mathrm{NCE}(S^T)\big), \qquad
        S_{ij} = \cos(A x_i, B y_j) / \tau

    A, B and tau are fitted by Adam on half of the images; a quarter chooses the number
    of steps, and the bound is measured on the last quarter. It is a bound for whatever
    the critic has learned, so that networks trained with and without a contrastive loss
    are compared fairly: neither brings projections of its own. It never exceeds
    ``log2 K``; differences near that ceiling say little. A small value may also
    mean that a linear critic, or this many pixels, cannot find the dependence.

    Args:
        x: ``(M, C)`` features, one row a pixel.
        y: ``(M, D)`` features of the same pixels.
        images: ``(M,)`` int64, the image of each row.
        steps: Steps of Adam at most.
        candidates: K, one positive and K - 1 other pixels; fewer if the measured images
            have fewer pixels.
        seed: Seed of the projections and of the batches.

    Raises:
        ValueError: Fewer than four images.

    References:
        van den Oord et al., Representation Learning with Contrastive Predictive
        Coding, 2018. https://arxiv.org/abs/1807.03748
        Poole et al., On Variational Bounds of Mutual Information, ICML 2019, on the
        ceiling. https://arxiv.org/abs/1905.06922

    Examples:
        Eight states, equally likely: 3 bits of themselves, none of a constant.

        >>> x, images = torch.eye(8).repeat(32, 1), torch.arange(256) // 8
        >>> bits, ceiling = critic_bound(x, torch.zeros(256, 1), images, candidates=8)
        >>> round(bits, 4), ceiling
        (0.0, 3.0)
        >>> 2 < critic_bound(x, x, images, candidates=8).bits < 3
        True
    """
    fit, choose, measure = split_images(images)
    candidates = min(candidates, int(choose.sum()), int(measure.sum()))
    x, y = _standardize(x, fit), _standardize(y, fit)
    generator = torch.Generator().manual_seed(seed)
    # inference_mode(False): a caller that evaluates a network may be inside of it.
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        torch.manual_seed(seed)
        critic = _Critic(x.shape[1], y.shape[1])
    pairs = [(x[mask], y[mask]) for mask in (fit, choose, measure)]
    with torch.inference_mode(False), torch.enable_grad():
        _fit_critic(critic, pairs[0], pairs[1], steps, candidates, generator)
    bits = max(0.0, _held_out_bits(critic, *pairs[2], candidates))
    return Bound(bits, math.log2(candidates))


def _standardize(x: Tensor, rows: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the fitted rows; constant channels become 0."""
    x = x.to(torch.float32).clone()
    mean, spread = x[rows].mean(0), x[rows].std(0, correction=0)
    alive = spread > 1e-6 * (1 + mean.abs())
    return (x - mean) / torch.where(alive, spread, torch.inf)


def _nce(scores: Tensor) -> Tensor:
    return (info_nce(scores).mean() + info_nce(scores.T).mean()) / 2


def _fit_critic(
    critic: _Critic,
    fit: tuple[Tensor, Tensor],
    choose: tuple[Tensor, Tensor],
    steps: int,
    candidates: int,
    generator: torch.Generator,
) -> None:
    """Adam with the best state on the choosing images kept."""
    optimizer = torch.optim.Adam(critic.parameters(), lr=LEARNING_RATE)
    best, kept = -math.inf, copy.deepcopy(critic.state_dict())
    for step in range(1, steps + 1):
        rows = torch.randperm(len(fit[0]), generator=generator)[:candidates]
        optimizer.zero_grad()
        _nce(critic(fit[0][rows], fit[1][rows])).backward()
        optimizer.step()
        if step % LOOK_EVERY == 0 or step == steps:
            reached = _held_out_bits(critic, *choose, candidates)
            if reached > best:
                best, kept = reached, copy.deepcopy(critic.state_dict())
    critic.load_state_dict(kept)


@torch.no_grad()
def _held_out_bits(critic: _Critic, x: Tensor, y: Tensor, candidates: int) -> float:
    losses = [_nce(critic(x[rows], y[rows])) for rows in _blocks(len(x), candidates)]
    return math.log2(candidates) - torch.stack(losses).mean().item() / math.log(2)


def _blocks(rows: int, size: int) -> Iterator[Tensor]:
    """Disjoint groups of ``size`` rows, mixed over the images."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(0))
    return (block for block in order.split(size) if len(block) == size)
