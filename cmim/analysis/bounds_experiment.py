"""Trained bounds on mutual information against Gaussians whose information rises.

The experiment of Poole et al. (2019): while a critic is trained by a bound, the
correlation of its data steps up; what each bound reports is compared with the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cmim.contrast.losses.donsker_varadhan import DonskerVaradhanBound
from cmim.contrast.losses.info_nce import InfoNceBound
from cmim.contrast.losses.interpolated import InterpolatedBound
from cmim.contrast.losses.jensen_shannon import JensenShannonBound
from cmim.contrast.losses.mine import MineBound
from cmim.contrast.losses.nce import NceBound
from cmim.contrast.losses.nwj import NwjBound
from cmim.contrast.losses.tuba import TubaBound
from cmim.contrast.pair_loss import Bound
from cmim.contrast.scores import Candidates, Scores

# Given the length of the anchors. With M = 1 the score of NCE's best critic is the
# logarithm of the density ratio, as with the others.
BOUNDS: dict[str, Callable[[int], Bound]] = {
    "info_nce": lambda width: InfoNceBound(),
    "interpolated 0.5": lambda width: InterpolatedBound(width, 0.5),
    "interpolated 0.01": lambda width: InterpolatedBound(width, 0.01),
    "nwj": lambda width: NwjBound(),
    "tuba": TubaBound,
    "jensen_shannon": lambda width: JensenShannonBound(),
    "donsker_varadhan": lambda width: DonskerVaradhanBound(),
    "mine": lambda width: MineBound(0.01),
    "nce": lambda width: NceBound(1.0, normalise=False),
}
CRITICS = ("separable", "concat")
LEVELS = (2.0, 4.0, 6.0, 8.0, 10.0)
HIDDEN, EMBEDDING, LEARNING_RATE = 256, 32, 5e-4


@dataclass(frozen=True)
class Setup:
    """Data and training of the experiment.

    Args:
        steps_per_level: Training steps at each level of information, 2 or more.
        batch: K pairs a step, 3 or more; each has the K - 1 others as negatives.
        dim: d, columns of x and of y.
        critic: ``'separable'``, an inner product of two networks; ``'concat'``, one
            network of both, evaluated on all K^2 pairs.
        seed: Of the data (the same for all bounds) and of the first weights.
        levels: True mutual information, nats.

    Raises:
        ValueError: A value out of range.
    """

    steps_per_level: int = 1000
    batch: int = 64
    dim: int = 20
    critic: str = "separable"
    seed: int = 0
    levels: tuple[float, ...] = LEVELS

    def __post_init__(self) -> None:
        for name, least in (("steps_per_level", 2), ("batch", 3), ("dim", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} must be at least {least}, got {getattr(self, name)}"
                )
        if self.critic not in CRITICS:
            raise ValueError(
                f"critic {self.critic!r} is unknown; choose from {', '.join(CRITICS)}"
            )


def correlation(information: float, dim: int) -> float:
    r"""Correlation of each pair of columns, from their mutual information.

    .. math::
        I = -\frac d 2 \log(1 - \rho^2)

    Args:
        information: I in nats, 0 or more.
        dim: d, columns of each variable.

    Examples:
        >>> round(correlation(-math.log(1 - 0.6**2), 2), 6)
        0.6
    """
    return math.sqrt(-math.expm1(-2 * information / dim))


def train_bound(name: str, setup: Setup) -> Tensor:
    """Train a critic by a bound while the information rises.

    Each estimate is on a batch that the critic has not seen yet. With the same seed the
    batches are the same for all bounds.

    Args:
        name: One of ``BOUNDS``.
        setup: Data and training.

    Returns:
        ``(levels * steps_per_level,)`` estimates in nats.

    References:
        Poole et al., On Variational Bounds of Mutual Information, ICML 2019, and its
        notebook (google-research, vbmi): networks of 2 hidden layers of 256 units,
        embeddings of 32, Adam at 5e-4, batches of 64.
        https://arxiv.org/abs/1905.06922
    """
    if name not in BOUNDS:
        raise ValueError(f"bound {name!r} is unknown; choose from {', '.join(BOUNDS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setup.seed)
        critic = _Critic(setup)
        bound = BOUNDS[name](1)
        if hasattr(bound, "log_baseline"):
            bound.log_baseline = _Baseline(setup.dim)
    weights = [*critic.parameters(), *bound.parameters()]
    optimizer = torch.optim.Adam(weights, lr=LEARNING_RATE)
    random = torch.Generator().manual_seed(setup.seed)
    estimates = []
    for level in setup.levels:
        for _ in range(setup.steps_per_level):
            scores = critic(*_draw(level, setup, random))
            loss = bound(scores).mean()
            optimizer.zero_grad()
            loss.backward()
            estimates.append(_estimate(bound, scores))
            optimizer.step()
    return torch.stack(estimates)


@torch.no_grad()
def _estimate(bound: Bound, scores: Scores) -> Tensor:
    # The moving average of MINE counts each batch once, in training.
    bound.eval()
    estimate = bound.estimate(scores)
    bound.train()
    return estimate


def _draw(level: float, setup: Setup, random: torch.Generator) -> tuple[Tensor, Tensor]:
    rho = correlation(level, setup.dim)
    x, noise = torch.randn(2, setup.batch, setup.dim, generator=random)
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def _network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, outputs),
    )


class _Critic(nn.Module):
    """Scores of all pairs of a batch; the anchors are y, as their baselines a(y)."""

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.separable = setup.critic == "separable"
        if self.separable:
            self.embed_x = _network(setup.dim, EMBEDDING)
            self.embed_y = _network(setup.dim, EMBEDDING)
        else:
            self.compare = _network(2 * setup.dim, 1)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        if self.separable:
            anchors, candidates = self.embed_y(y), self.embed_x(x)
        else:
            size = len(x)
            pairs = torch.cat(
                [y.repeat_interleave(size, dim=0), x.repeat(size, 1)], dim=1
            )
            # Inner products with unit vectors: the scores are this matrix.
            anchors = self.compare(pairs).view(size, size)
            candidates = torch.eye(size, dtype=x.dtype)
        # Against zeros y adds nothing to the scores; there the baselines read it.
        anchors = torch.cat([anchors, y], dim=1)
        candidates = torch.cat([candidates, torch.zeros_like(x)], dim=1)
        return Scores(anchors, [Candidates(candidates, first_positive=0)])


class _Baseline(nn.Module):
    """log a(y), a network; starts at a = e."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.network = _network(dim, 1)
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.ones_(last.bias)

    def forward(self, anchors: Tensor) -> Tensor:
        return self.network(anchors[:, -self.dim :])


def table_of(curves: dict[str, Tensor], setup: Setup) -> list[dict[str, Any]]:
    """A row for each bound and level, over the last half of the level's steps.

    Args:
        curves: Estimates of each bound, from :func:`train_bound`.
        setup: What they were trained with.

    Returns:
        Rows ``bound`` and, in nats, ``truth``, ``mean``, ``bias`` (mean - truth),
        ``spread`` (standard deviation over the steps), ``median``: some bounds have
        rare estimates so far off that they make the mean.

    Examples:
        >>> setup = Setup(steps_per_level=4, levels=(2.0,))
        >>> table_of({"nwj": torch.tensor([9.0, 9.0, 1.0, 2.0])}, setup)[0]["bias"]
        -0.5
    """
    rows = []
    for name, curve in curves.items():
        steps = curve.double().view(len(setup.levels), setup.steps_per_level)
        settled = steps[:, setup.steps_per_level // 2 :]
        for truth, values in zip(setup.levels, settled, strict=True):
            mean = values.mean().item()
            rows.append(
                dict(
                    bound=name,
                    truth=truth,
                    mean=mean,
                    bias=mean - truth,
                    spread=values.std(correction=0).item(),
                    median=values.median().item(),
                )
            )
    return rows


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of :func:`table_of` as a table in nats: mean and spread by truth.

    Examples:
        >>> row = dict(bound="nwj", truth=2.0, mean=1.5, bias=-0.5, spread=0.25)
        >>> print(format_table([row]))
        truth, nats                  2.0
        nwj                  1.50 ± 0.25
    """
    levels = sorted({row["truth"] for row in rows})
    lines = ["truth, nats      " + "".join(f"{level:15.1f}" for level in levels)]
    for name in dict.fromkeys(row["bound"] for row in rows):
        cells = {
            row["truth"]: f"{row['mean']:.2f} ± {row['spread']:.2f}"
            for row in rows
            if row["bound"] == name
        }
        lines.append(f"{name:17s}" + "".join(f"{cells[lv]:>15s}" for lv in levels))
    return "\n".join(lines)
