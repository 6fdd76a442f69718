"""Estimators of mutual information against values that are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from cmim.analysis.mutual_information import ksg, lnc, mixed_ksg
from cmim.analysis.nearest_neighbours import Floats

ESTIMATORS: dict[str, Callable[[Floats, Floats], float]] = {
    "ksg": ksg,
    "mixed_ksg": mixed_ksg,
    "lnc": lnc,
}
DIMS = (1, 2, 5)
RHOS = (0.0, 0.3, 0.6, 0.9, 0.99, 0.9999, 0.99999999)


@dataclass(frozen=True)
class Case:
    """A pair of variables with known mutual information.

    Attributes:
        name: What the table calls it.
        dims: Columns of x and of y.
        truth: Mutual information, nats.
        draw: Samples ``(x, y)`` from a generator and their number.
        estimators: Names of those that apply.
        rho: Correlation of the Gaussian cases.
    """

    name: str
    dims: int
    truth: float
    draw: Callable[[Generator, int], tuple[Floats, Floats]]
    estimators: tuple[str, ...]
    rho: float | None = None


def gaussian_case(dims: int, rho: float) -> Case:
    r"""Standard normal x and y; column i of x has the correlation rho with that of y.

    .. math::
        I = -\frac d 2 \log(1 - \rho^2)

    Args:
        dims: d, columns of each.
        rho: Correlation, in (-1, 1).

    Raises:
        ValueError: ``|rho| >= 1``, where the information is infinite.

    Examples:
        >>> round(gaussian_case(2, 0.6).truth, 4)
        0.4463
    """
    if not -1 < rho < 1:
        raise ValueError(f"rho is {rho}; give a correlation above -1 and below 1")

    def draw(random: Generator, samples: int) -> tuple[Floats, Floats]:
        x, noise = random.normal(size=(2, samples, dims))
        return x, rho * x + np.sqrt(1 - rho**2) * noise

    # 0 - instead of -: the sign of a zero is of no use in a table.
    truth = 0 - dims / 2 * math.log1p(-(rho**2))
    name = f"Gaussian, rho {rho}"
    return Case(name, dims, truth, draw, tuple(ESTIMATORS), rho)


def stairs_case(levels: int) -> Case:
    r"""x uniform on 0 ... m - 1, and ``y = x + u`` with u uniform on [0, 2].

    .. math::
        I = \log m - \frac{m - 1}{m} \log 2

    Args:
        levels: m, 1 or more.

    References:
        Gao et al., NeurIPS 2017, Section 5, Experiment I.
        https://arxiv.org/abs/1709.06212

    Examples:
        >>> round(stairs_case(2).truth, 4)
        0.3466
    """

    def draw(random: Generator, samples: int) -> tuple[Floats, Floats]:
        x = random.integers(0, levels, (samples, 1)).astype(np.float64)
        return x, x + random.uniform(0, 2, (samples, 1))

    truth = math.log(levels) - (levels - 1) / levels * math.log(2)
    return Case(f"{levels} levels + noise", 1, truth, draw, ("mixed_ksg",))


def sign_case() -> Case:
    """x normal and ``y = sign(x)``: the codes keep their entropy, log 2.

    Examples:
        >>> round(sign_case().truth, 4)
        0.6931
    """

    def draw(random: Generator, samples: int) -> tuple[Floats, Floats]:
        x = random.normal(size=(samples, 1))
        return x, np.where(x >= 0, 1.0, -1.0)

    return Case("normal and its sign", 1, math.log(2), draw, ("mixed_ksg",))


def noisy_code_case(flipped: float) -> Case:
    """A balanced code and the same with a share flipped: values repeat on both sides.

    Args:
        flipped: Share f in (0, 1); the information is log 2 less the entropy of f.

    Examples:
        >>> round(noisy_code_case(0.1).truth, 4)
        0.3681
    """

    def draw(random: Generator, samples: int) -> tuple[Floats, Floats]:
        x = random.choice([-1.0, 1.0], (samples, 1))
        return x, np.where(random.uniform(size=x.shape) < flipped, -x, x)

    kept = 1 - flipped
    truth = math.log(2) + flipped * math.log(flipped) + kept * math.log(kept)
    name = f"code, {100 * flipped:g} % flipped"
    return Case(name, 1, truth, draw, ("mixed_ksg",))


def known_cases() -> list[Case]:
    """Gaussians from weak to very strong dependence, then discrete and mixed ones."""
    return [
        *(gaussian_case(dims, rho) for dims in DIMS for rho in RHOS),
        *(stairs_case(levels) for levels in (2, 5, 20)),
        sign_case(),
        noisy_code_case(0.1),
    ]


def check_estimators(
    samples: int = 1000,
    repeats: int = 10,
    cases: Sequence[Case] | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Estimate each case several times, all estimators on the same samples.

    Args:
        samples: N of each estimate.
        repeats: Estimates of each, 2 or more.
        cases: All of :func:`known_cases` when None.
        seed: Of the samples.

    Returns:
        A row for each case and estimator: ``case``, ``dims``, ``rho``, ``estimator``,
        and in nats ``truth``, ``mean``, ``bias`` (mean - truth), ``spread`` (standard
        deviation over the repetitions).

    Raises:
        ValueError: Fewer than 2 repeats, or too few samples for an estimator.
    """
    if repeats < 2:
        raise ValueError(f"repeats is {repeats}; a spread needs 2 or more")
    return [
        row
        for number, case in enumerate(known_cases() if cases is None else cases)
        for row in _check_case(case, samples, repeats, (seed, number))
    ]


def _check_case(
    case: Case, samples: int, repeats: int, seed: tuple[int, int]
) -> list[dict[str, Any]]:
    found = np.zeros((len(case.estimators), repeats))
    for repeat in range(repeats):
        x, y = case.draw(np.random.default_rng([*seed, repeat]), samples)
        found[:, repeat] = [ESTIMATORS[name](x, y) for name in case.estimators]
    return [
        dict(
            case=case.name,
            dims=case.dims,
            rho=case.rho,
            estimator=name,
            truth=case.truth,
            mean=float(values.mean()),
            bias=float(values.mean() - case.truth),
            spread=float(values.std(ddof=1)),
        )
        for name, values in zip(case.estimators, found, strict=True)
    ]


def format_checks(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of :func:`check_estimators` as a table, in nats.

    Examples:
        >>> rows = check_estimators(50, 2, [noisy_code_case(0.1)])
        >>> print(format_checks(rows).splitlines()[0])
        nats                     dims    truth  estimator     mean    bias  spread
    """
    title = f"{'nats':24s} dims {'truth':>8s}  {'estimator':10s}"
    lines = [f"{title} {'mean':>7s} {'bias':>7s} {'spread':>7s}"]
    before = None
    for row in rows:
        place = (row["case"], row["dims"])
        head = f"{row['case']:24s} {row['dims']:4d} {row['truth']:8.3f}"
        head = " " * len(head) if place == before else head
        before = place
        lines.append(
            f"{head}  {row['estimator']:10s} {row['mean']:7.3f} {row['bias']:+7.3f} "
            f"{row['spread']:7.3f}"
        )
    return "\n".join(lines)
