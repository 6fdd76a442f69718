"""Normal metrics: angles counted in fine bins per image, figures of the data set.

Checked: against ``normal_error`` of github.com/lorenmt/mtan, commit c36c30b, on random
maps: mean at most 4e-15 degrees apart in float64, shares equal; the median is rounded
to 0.02 degrees here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS
from torch import Tensor

from tasks.ground_truth import truth_or_unknown
from tasks.measured_share import measured_share

#: Bins of the histogram for each degree, around its multiples of 0.02: the resolution
#: of the median, without a bias. The last is around 180 degrees.
BINS_PER_DEGREE = 50
BINS = 180 * BINS_PER_DEGREE + 1
THRESHOLDS = (11.25, 22.5, 30.0)


class AngleSums(NamedTuple):
    """Angular errors of one image over its valid pixels.

    Args:
        total: Sum in degrees, float64.
        counts: Valid pixels, then those below each of ``THRESHOLDS``.
        histogram: Pixels nearest to each multiple of 0.02 degrees, from 0 to 180.
    """

    total: Tensor
    counts: Tensor
    histogram: Tensor


def angle_sums(pred: Tensor, target: Tensor) -> AngleSums:
    r"""Sum and count the angles between predicted and true normals of one image.

    .. math:: \alpha = \mathrm{atan2}(|p \times t|, p \cdot t)

    A pixel is valid where t is not zero. A zero prediction says nothing and counts as
    90 degrees. A NaN prediction makes the mean NaN and counts as 180 degrees elsewhere,
    so it cannot pass unseen.

    Args:
        pred: Predicted vectors of any length.
        target: True unit vectors, zero where unknown.

    Shape:
        pred and target ``(3, H, W)``, the same.

    Raises:
        ValueError: If the shapes differ.

    Examples:
        >>> pred = torch.tensor([1.0, 0, 0]).view(3, 1, 1)
        >>> sums = angle_sums(pred, torch.tensor([0, 1.0, 0]).view(3, 1, 1))
        >>> sums.total.item(), sums.counts.tolist()
        (90.0, [1, 0, 0, 0])
    """
    if pred.shape != target.shape or pred.ndim != 3 or pred.shape[0] != 3:
        raise ValueError(
            f"predicted normals have shape {tuple(pred.shape)} and the ground truth "
            f"{tuple(target.shape)}; both must be the same (3, H, W)"
        )
    if pred.device.type == "mps":  # has no float64
        pred = pred.cpu()
    target = target.to(pred.device)
    valid = target.square().sum(dim=0) > 0.25
    p, t = pred[:, valid].double(), target[:, valid].double()
    # The largest component becomes 1: squares of tiny ones would be 0.
    largest = p.abs().amax(dim=0)
    p = p / torch.where(largest > 0, largest, torch.ones_like(largest))
    cross = torch.linalg.cross(p, t, dim=0).square().sum(dim=0).sqrt()
    angles = torch.rad2deg(torch.atan2(cross, (p * t).sum(dim=0)))
    angles = torch.where(largest == 0, torch.full_like(angles, 90.0), angles)
    bounded = angles.nan_to_num(180.0)
    places = (bounded * BINS_PER_DEGREE).round().long()
    below = [(bounded < limit).sum() for limit in THRESHOLDS]
    return AngleSums(
        angles.sum(),
        torch.stack([valid.sum(), *below]),
        torch.bincount(places, minlength=BINS).int(),
    )


def mean_angle(sums: Tensor) -> Tensor:
    """Mean angle in degrees of pooled sums.

    Args:
        sums: Number of pixels and sum of their angles.

    Shape:
        sums ``(*, 2)``; output ``(*)``, NaN without a pixel.

    Examples:
        >>> mean_angle(torch.tensor([4.0, 90.0])).item()
        22.5
    """
    pixels, total = sums.double().unbind(-1)
    return total / pixels


def normal_figures(images: Sequence[AngleSums]) -> dict[str, float]:
    """Turn the sums of images into the figures of a data set.

    All pool the pixels of the data set. The median (the lower one of an even number) is
    rounded to 0.02 degrees: at most 0.01 off, and 0 of perfect normals.

    Args:
        images: Sums of each image.

    Returns:
        ``mean_angle`` and ``median_angle`` in degrees; ``within_11.25``,
        ``within_22.5`` and ``within_30``, percent of the pixels.

    Raises:
        ValueError: If no image has a valid pixel.

    References:
        Fouhey, Gupta, Hebert, Data-Driven 3D Primitives for Single Image
        Understanding, ICCV 2013 (the figures).

    Examples:
        >>> x, y = (torch.tensor(v).view(3, 1, 1) for v in ([1.0, 0, 0], [0, 1.0, 0]))
        >>> figures = normal_figures([angle_sums(x, x), angle_sums(x, y)])
        >>> figures["mean_angle"], figures["within_30"]
        (45.0, 50.0)
    """
    counts = torch.stack([image.counts for image in images]).sum(dim=0).tolist()
    if not counts[0]:
        raise ValueError(
            f"none of the {len(images)} images has a valid normal: check the depth "
            "that AddNormals reads"
        )
    total = torch.stack([image.total for image in images]).sum().item()
    histogram = torch.stack([image.histogram for image in images]).sum(dim=0)
    shares = {
        f"within_{limit:g}": 100 * count / counts[0]
        for limit, count in zip(THRESHOLDS, counts[1:], strict=True)
    }
    angle = mean_angle(torch.tensor([counts[0], total], dtype=torch.float64)).item()
    return dict(mean_angle=angle, median_angle=_median(histogram), **shares)


def _median(histogram: Tensor) -> float:
    upto = histogram.cumsum(dim=0)
    return int((2 * upto >= upto[-1]).nonzero()[0]) / BINS_PER_DEGREE


@METRICS.register_module()
class NormalMetric(BaseMetric):
    """Evaluate surface normals; figures in :func:`normal_figures`.

    ``measured_share`` beside them says how much of the known ground truth, all that is
    not zero, they are of: a normal shorter than 0.5 is none and counts nowhere.

    Each image is reduced to integers and one float64 sum of its own, so the figures do
    not depend on batch size or number of processes, and images repeated to fill a
    distributed batch are trimmed.

    Args:
        collect_device: ``cpu`` or ``gpu``, where distributed results are gathered.
        prefix: Put before the names, as ``prefix/mean_angle``.

    Shape:
        ``data_sample['gt_normal_map']['data']`` and
        ``data_sample['pred_normal_map']['data']``: ``(3, H, W)``.

    Raises:
        ValueError: If prediction and ground truth differ in shape, or if no image of
            the data set has a valid pixel.

    Examples:
        >>> metric = NormalMetric()
        >>> ahead = torch.tensor([0, 0, -1.0]).view(3, 1, 1)
        >>> sample = dict(gt_normal_map=dict(data=ahead),
        ...               pred_normal_map=dict(data=ahead))
        >>> metric.process(None, [sample])
        >>> metric.evaluate(size=1)["within_11.25"]
        100.0
    """

    # Not None: mmengine then warns that figures of two metrics may collide, which
    # evaluators with several metrics settle by their prefix.
    default_prefix = ""

    def __init__(self, collect_device: str = "cpu", prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        #: What :func:`mean_angle` takes, of each image, once evaluated.
        self.image_sums: dict[str, Tensor] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Append the sums of each image of a batch."""
        for sample in data_samples:
            pred = sample["pred_normal_map"]["data"]
            target = truth_or_unknown(sample, "gt_normal_map", pred, 0)
            try:
                sums = angle_sums(pred, target)
            except ValueError as error:
                raise ValueError(f"{sample.get('img_path')}: {error}") from error
            known = int((target != 0).any(dim=0).sum())
            self.results.append((AngleSums(*(part.cpu() for part in sums)), known))

    def compute_metrics(self, results: list[tuple[AngleSums, int]]) -> dict[str, float]:
        """Return :func:`normal_figures` of all images and ``measured_share``."""
        if not results:
            raise ValueError("no image was evaluated: the data loader gave no sample")
        # Gathering turns named tuples into plain ones.
        images = [AngleSums(*sums) for sums, _ in results]
        measured = sum(int(image.counts[0]) for image in images)
        left_out = (
            "normals that are NaN or shorter than 0.5 are none and count nowhere; "
            "check the depth that AddNormals reads"
        )
        known = sum(known for _, known in results)
        share = measured_share(measured, known, left_out)
        sums = [
            torch.stack([image.counts[0].double(), image.total]) for image in images
        ]
        self.image_sums = {"mean_angle": torch.stack(sums)}
        return dict(**normal_figures(images), measured_share=share)
