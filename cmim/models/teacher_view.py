"""The pictures as the teacher sees them: its normalisation, its resolution."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

from mmengine.logging import print_log
from torch import Tensor

from cmim.functional.alignment import resize_features
from cmim.identity import identity_of

SWAPPED = [2, 1, 0]


@dataclass(frozen=True)
class Normalisation:
    r"""From the student's normalised pictures to the teacher's.

    .. math:: y_c = \frac{x_{\pi(c)} \sigma_{\pi(c)} + \mu_{\pi(c)} - m_c}{s_c}
        = a_c\, x_{\pi(c)} + b_c

    with the student's :math:`\mu, \sigma`, the teacher's m, s, and :math:`\pi` the
    order of the bands: one factor and one summand a band.

    Args:
        factor: :math:`a_c = \sigma_{\pi(c)} / s_c`.
        summand: :math:`b_c = (\mu_{\pi(c)} - m_c) / s_c`.
        order: :math:`\pi`, or None where both have the same order.

    Examples:
        >>> import torch
        >>> Normalisation((2.0,), (1.0,))(torch.tensor([[[[3.0]]]])).item()
        7.0
    """

    factor: tuple[float, ...]
    summand: tuple[float, ...]
    order: tuple[int, ...] | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        factor, summand = (
            inputs.new_tensor(values).view(-1, 1, 1)
            for values in (self.factor, self.summand)
        )
        bands = inputs if self.order is None else inputs[:, list(self.order)]
        return bands * factor + summand


@dataclass(frozen=True)
class TeacherView:
    """What is done to the student's pictures before the teacher sees them.

    Args:
        normalisation: Where it is another one than the student's.
        resolution: The teacher's side of a picture by the student's, or None for 1.

    Raises:
        ValueError: A resolution that is no positive number.

    Examples:
        >>> import torch
        >>> TeacherView(resolution=0.5)(torch.zeros(1, 3, 4, 6)).shape
        torch.Size([1, 3, 2, 3])
    """

    normalisation: Normalisation | None = None
    resolution: float | None = None

    def __post_init__(self) -> None:
        r = self.resolution
        number = isinstance(r, (int, float)) and not isinstance(r, bool)
        if r is not None and not (number and 0 < r < math.inf):
            raise ValueError(
                f"teacher_resolution is a share of the picture's side above 0, such as "
                f"0.5, or None; got {r!r}"
            )

    @property
    def resized(self) -> bool:
        """Whether the teacher's pictures have another size."""
        return self.resolution not in (None, 1)

    def __call__(self, inputs: Tensor) -> Tensor:
        """The teacher's pictures; the same tensor where nothing differs.

        Args:
            inputs: ``(N, C, H, W)``, normalised for the student.
        """
        if self.normalisation is not None:
            inputs = self.normalisation(inputs)
        if self.resized:
            assert self.resolution is not None
            sides = (max(1, round(s * self.resolution)) for s in inputs.shape[2:])
            inputs = resize_features(inputs, (next(sides), next(sides)))
        return inputs


def teacher_normalisation(model: dict, teacher_model: dict) -> Normalisation | None:
    """How the student's pictures become the teacher's, from both configs.

    A config without mean and deviation says nothing, and the teacher then sees the
    student's pictures; that is also so where the student's says nothing, with a line.

    Args:
        model: Config of the student's task model.
        teacher_model: Config of the teacher's.

    Returns:
        None where both are the same, as far as they are known.

    Raises:
        ValueError: They have other numbers of bands, or an order of bands that is
            swapped, of other than 3.

    Examples:
        >>> ours, theirs = (dict(data_preprocessor=dict(mean=[m] * 3, std=[s] * 3))
        ...     for m, s in ((10.0, 2.0), (4.0, 4.0)))
        >>> teacher_normalisation(ours, theirs)
        Normalisation(factor=(0.5, 0.5, 0.5), summand=(1.5, 1.5, 1.5), order=None)
    """
    ours, theirs = (pictures_of(m) for m in (model, teacher_model))
    if ours == theirs or not (theirs["mean"] and theirs["std"]):
        return None
    if not (ours["mean"] and ours["std"]):
        print_log(
            "the teacher's normalisation is not applied, since the student's is not "
            "known: give model.model.data_preprocessor its mean and std",
            logger="current",
            level=logging.WARNING,
        )
        return None
    return _between(ours, theirs)


def pictures_of(model: dict) -> dict[str, Any]:
    """What a task model's config says of its pictures: mean, std, order of bands."""
    found: dict[str, Any] = identity_of(dict(model=model))["pictures"]
    return found


def _between(ours: dict[str, Any], theirs: dict[str, Any]) -> Normalisation:
    bands = max(len(p[key]) for p in (ours, theirs) for key in ("mean", "std"))
    swapped = ours["swapped"] != theirs["swapped"]
    if swapped and bands not in (1, 3):
        raise ValueError(
            f"the teacher's pictures have another order of bands (bgr_to_rgb) than the "
            f"student's, which is known for 3 bands and not for {bands}: give both "
            "data_preprocessors the same"
        )
    # One number counts for every band.
    own, other = (
        {k: p[k] * bands if len(p[k]) == 1 else p[k] for k in ("mean", "std")}
        for p in (ours, theirs)
    )
    lengths = {len(p[k]) for p in (own, other) for k in ("mean", "std")}
    if len(lengths) > 1:
        raise ValueError(
            f"the teacher's pictures are normalised by mean {theirs['mean']} and the "
            f"student's by {ours['mean']}: both read the same bands, give both as many"
        )
    order = SWAPPED if swapped else list(range(bands))
    if swapped and bands == 1:
        order = [0]
    mean, std = ([own[k][c] for c in order] for k in ("mean", "std"))
    triples = list(zip(mean, other["mean"], other["std"], strict=True))
    return Normalisation(
        factor=tuple(s / t for s, t in zip(std, other["std"], strict=True)),
        summand=tuple((m - n) / t for m, n, t in triples),
        order=tuple(SWAPPED) if swapped else None,
    )
