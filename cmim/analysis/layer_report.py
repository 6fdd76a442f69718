"""What the codes of one layer carry: entropy, bounds, estimates, similarity."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from cmim.analysis.codes import CodeStatistics
from cmim.analysis.critic import critic_bound
from cmim.analysis.mutual_information import mixed_ksg
from cmim.analysis.similarity import linear_cka

# Leading directions that nearest-neighbour estimates see; with more, these fall short
# of the truth by bits unless there are exponentially many pixels.
COMPONENTS = 3
# Pixels of nearest-neighbour estimates, whose cost grows with the square.
NEIGHBOUR_ROWS = 1500
NEIGHBOURS = 3


@dataclass(frozen=True)
class LayerMeasures:
    """Figures of one layer; None where they were not asked for or cannot be.

    Args:
        channels: Channels of the codes.
        entropy: Mean marginal entropy of a channel in bits, 1 at most.
        dead: Share of channels that (almost) never change, in [0, 1].
        pair_information: Mean mutual information of two channels in bits.
        bound_latent: Bound on I(codes; own latent activation) in bits. The codes are a
            function of the latent, so the truth is their joint entropy, most often far
            above the ceiling.
        bound_twin: Bound on I(codes; feature of the full-precision twin at the same
            place) in bits.
        ceiling: What no bound can exceed, log2 of the number of candidates.
        label_codes: Estimate of I(codes; label) in bits, from the leading components.
        label_latent: The same for the latent activation: what binarizing loses is the
            difference.
        shared: Estimate of I(codes; twin's feature, or own latent without a twin) in
            bits, from the leading components.
        cka_latent: Linear CKA of codes and own latent, 1 where alike.
        cka_twin: Linear CKA of codes and the twin's feature.
    """

    channels: int
    entropy: float
    dead: float
    pair_information: float
    bound_latent: float
    bound_twin: float | None
    ceiling: float
    label_codes: float | None
    label_latent: float | None
    shared: float | None
    cka_latent: float | None
    cka_twin: float | None

    def as_record(self) -> dict[str, Any]:
        """Plain values, rounded to what a repetition reproduces anywhere."""
        return {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }


@dataclass(frozen=True)
class LayerSample:
    """Sampled pixels of one layer.

    Args:
        binary: Codes with their scale, ``(M, C)``.
        latent: What was binarized, ``(M, C)``.
        twin: The full-precision twin's feature at the same places, ``(M, D)``.
        labels: Class numbers or depth in metres, ``(M,)``, NaN where unknown.
        images: Image of each pixel, ``(M,)`` int64.
    """

    binary: Tensor
    latent: Tensor
    twin: Tensor | None
    labels: Tensor
    images: Tensor


def measure_layer(
    statistics: CodeStatistics,
    sample: LayerSample,
    continuous: bool,
    seed: int = 0,
) -> LayerMeasures:
    """All figures of one layer.

    Nearest-neighbour estimates see three leading components only and are biased: low
    where the dependence is strong or spread over more directions, by either sign of a
    few hundredths of a bit where it is weak. Compare them between networks measured in
    the same way, not with an absolute scale.

    Args:
        statistics: Codes of all places of all images.
        sample: Pixels of the layer.
        continuous: Labels are a quantity (depth), not classes.
        seed: Seed of the critics.

    Raises:
        ValueError: Activations that are not finite, or fewer than four images.
    """
    binary, latent, twin = sample.binary, sample.latent, sample.twin
    for features in (binary, latent, *([] if twin is None else [twin])):
        if not features.isfinite().all():
            raise ValueError("activations are not finite: the network has diverged")
    codes = statistics.summary()
    bound = critic_bound(binary, latent, sample.images, seed=seed)
    bound_twin = None
    if twin is not None:
        bound_twin = critic_bound(binary, twin, sample.images, seed=seed).bits
    reference = latent if twin is None else twin
    return LayerMeasures(
        channels=binary.shape[1],
        entropy=codes.mean_entropy,
        dead=codes.dead_share,
        pair_information=codes.mean_pairwise_information,
        bound_latent=bound.bits,
        bound_twin=bound_twin,
        ceiling=bound.ceiling,
        label_codes=label_information(binary, sample.labels, continuous),
        label_latent=label_information(latent, sample.labels, continuous),
        shared=component_information(binary, reference),
        cka_latent=_similarity(binary, latent),
        cka_twin=None if twin is None else _similarity(binary, twin),
    )


def principal_components(x: Tensor, count: int = COMPONENTS) -> Tensor:
    """Leading principal components, each scaled to variance 1.

    Directions without variance are left out, so fewer columns may come back.

    Args:
        x: ``(M, C)``.
        count: Columns wanted.

    Returns:
        ``(M, K)`` float64, ``K <= count``.

    Examples:
        >>> principal_components(torch.tensor([[3.0, 0], [-3, 0], [0, 1], [0, -1]]))
        tensor([[ 1.4142,  0.0000],
                [-1.4142,  0.0000],
                [ 0.0000,  1.4142],
                [ 0.0000, -1.4142]], dtype=torch.float64)
    """
    x = x.double()
    x = x - x.mean(0)
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    kept = values.flip(0)[:count] > 1e-12 * values.abs().max().clamp(min=1e-300)
    axes = vectors.flip(1)[:, :count][:, kept]
    # An axis has no direction of its own: its largest entry is made positive.
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    return x @ axes / values.flip(0)[:count][kept].sqrt() + 0.0


def component_information(x: Tensor, y: Tensor) -> float | None:
    """Estimate of the mutual information of the leading components, in bits.

    Gao's estimator for mixed variables: components of codes take repeated values.
    None where one of the two is constant.

    Args:
        x: ``(M, C)``.
        y: ``(M, D)``.
    """
    rows = _evenly_spaced(len(x))
    x, y = principal_components(x)[rows], principal_components(y)[rows]
    if x.shape[1] == 0 or y.shape[1] == 0:
        return None
    return mixed_ksg(x.numpy(), y.numpy(), NEIGHBOURS) / math.log(2)


def label_information(x: Tensor, labels: Tensor, continuous: bool) -> float | None:
    """Estimate of what the leading components tell about the label, in bits.

    Pixels of unknown label take no part, neither do those of classes with too few
    pixels to have neighbours. Classes are moved so far apart that only pixels of one
    class can be neighbours; depth is taken as logarithm. None where too few pixels are
    left, or nothing varies.

    Args:
        x: ``(M, C)``.
        labels: ``(M,)``, NaN where unknown.
        continuous: Labels are positive quantities, not classes.
    """
    known = labels.isfinite()
    if continuous:
        labels = labels.log()
    else:
        classes, place = labels.nan_to_num(-1).unique(return_inverse=True)
        frequent = torch.bincount(place, minlength=len(classes)) > 2 * NEIGHBOURS
        known &= frequent[place]
    if known.sum() <= 4 * NEIGHBOURS or labels[known].unique().numel() < 2:
        return None
    x, labels = principal_components(x[known]), labels[known]
    rows = _evenly_spaced(len(x))
    x, labels = x[rows], labels[rows].double()
    if x.shape[1] == 0:
        return None
    if continuous:
        labels = (labels - labels.mean()) / labels.std()
    else:
        labels = labels * (4 * x.abs().max() + 1)
    return mixed_ksg(x.numpy(), labels[:, None].numpy(), NEIGHBOURS) / math.log(2)


def _evenly_spaced(rows: int) -> Tensor:
    count = min(rows, NEIGHBOUR_ROWS)
    return torch.arange(count) * rows // max(count, 1)


def _similarity(x: Tensor, y: Tensor) -> float | None:
    if any(bool((side == side[0]).all()) for side in (x, y)):
        return None
    return linear_cka(x.double().numpy(), y.double().numpy())
