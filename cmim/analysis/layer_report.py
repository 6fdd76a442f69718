"""What the codes of one layer carry: entropy, bounds, estimates, similarity."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from cmim.analysis.codes import CodeStatistics
from cmim.analysis.component_estimates import (
    Estimates,
    component_estimates,
    component_information,
    label_information,
    leading_components,
)
from cmim.analysis.critic import critic_bound
from cmim.analysis.similarity import linear_cka


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
        latent_twin_ksg: Estimate of I(own latent; twin's feature) in bits, from the
            leading components, by KSG: for continuous variables, too low where the
            dependence is strong. None where values repeat.
        latent_twin_mixed: The same by the estimator of ``shared``, so that what
            binarizing loses of the twin's feature is the difference. Unlike the two
            others it takes repeated values.
        latent_twin_lnc: The same by LNC, for strong dependence; too high where it is
            weak, or where one of the two lies near a surface. None where values
            repeat, or a linear map links both.
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
    latent_twin_ksg: float | None
    latent_twin_mixed: float | None
    latent_twin_lnc: float | None
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
    own = reference = leading_components(latent)
    pair = Estimates(None, None, None)
    if twin is not None:
        reference = leading_components(twin)
        pair = component_estimates(own, reference)
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
        shared=component_information(leading_components(binary), reference),
        latent_twin_ksg=pair.ksg,
        latent_twin_mixed=pair.mixed,
        latent_twin_lnc=pair.lnc,
        cka_latent=_similarity(binary, latent),
        cka_twin=None if twin is None else _similarity(binary, twin),
    )


def _similarity(x: Tensor, y: Tensor) -> float | None:
    if any(bool((side == side[0]).all()) for side in (x, y)):
        return None
    try:
        return linear_cka(x.double().numpy(), y.double().numpy())
    except ValueError:
        # Nearly constant: not measurable, as the constant ones above.
        return None
