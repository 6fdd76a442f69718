"""Depth metrics: pure sums per image, and the figures computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS
from torch import Tensor

from tasks.depth.root_mean_square import root_mean_square
from tasks.ground_truth import truth_or_unknown
from tasks.measured_share import measured_share

SUM_NAMES = (
    "valid",
    "squared",
    "squared_log",
    "relative",
    "squared_relative",
    "log10",
    "delta1",
    "delta2",
    "delta3",
)
REGIONS = ("whole", "eigen")


def _check_range(depth_range: tuple[float, float]) -> None:
    low, high = depth_range
    if not 0 < low < high:
        raise ValueError(
            f"depth_range {tuple(depth_range)} is not an increasing pair of metres "
            "above 0, such as (0.1, 10.0)"
        )


def eigen_crop(height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns of the Eigen crop for a frame of a given size.

    The crop is ``[45:471, 41:601]`` of a 480 x 640 frame. In a frame of another size
    a pixel belongs to it if its centre, scaled to 480 x 640, does.

    The frame must be the whole image, only resized: a frame that has been cropped
    before gets a wrong rectangle.

    Args:
        height: Height of the frame in pixels.
        width: Width of the frame in pixels.

    References:
        Eigen et al., Depth Map Prediction from a Single Image using a Multi-Scale
        Deep Network, NeurIPS 2014. https://arxiv.org/abs/1406.2283

    Examples:
        Row 22 of 240 has its centre at 22.5 * 2 = 45, just inside.

        >>> eigen_crop(480, 640)
        (slice(45, 471, None), slice(41, 601, None))
        >>> eigen_crop(240, 320)
        (slice(22, 235, None), slice(20, 300, None))
    """

    def first_centre(edge: int, size: int, full: int) -> int:
        # ceil(edge * size / full - 1 / 2) in integers, so that no rounding decides.
        return -((full - 2 * edge * size) // (2 * full))

    rows = (first_centre(45, height, 480), first_centre(471, height, 480))
    columns = (first_centre(41, width, 640), first_centre(601, width, 640))
    return slice(*rows), slice(*columns)


def depth_sums(
    pred: Tensor, target: Tensor, depth_range: tuple[float, float] = (0.1, 10.0)
) -> Tensor:
    r"""Sum the errors of one image over its valid pixels.

    With p the prediction clamped to ``depth_range`` and t the true depth, the sums
    are, in the order of ``SUM_NAMES``: :math:`1`, :math:`(p - t)^2`,
    :math:`(\ln p - \ln t)^2`, :math:`|p - t| / t`, :math:`(p - t)^2 / t`,
    :math:`|\log_{10} p - \log_{10} t|`, and :math:`\max(p/t, t/p) < 1.25^k` for
    k = 1, 2, 3.

    A pixel is valid where t is finite and inside ``depth_range``, ends included. A
    prediction of 0, below 0 or infinite is clamped like any other; a NaN prediction
    makes the sums NaN (and is a miss for delta), so it cannot pass unseen.

    Args:
        pred: Predicted depth in metres.
        target: True depth in metres.
        depth_range: Smallest (> 0) and largest depth in metres.

    Shape:
        pred and target ``(*)``, the same; output ``(9,)`` in float64, on the device
        of pred.

    Raises:
        ValueError: If the shapes differ or the range is not positive and increasing.

    Examples:
        1 m is predicted as 2 m; the second pixel has no true depth.

        >>> sums = depth_sums(torch.tensor([2.0, 5.0]), torch.tensor([1.0, 0.0]))
        >>> [round(value, 4) for value in sums.tolist()]
        [1.0, 1.0, 0.4805, 1.0, 1.0, 0.301, 0.0, 0.0, 0.0]
    """
    _check_range(depth_range)
    if pred.shape != target.shape:
        raise ValueError(
            f"predicted depth has shape {tuple(pred.shape)} but the ground truth "
            f"{tuple(target.shape)}: resize the prediction to the ground truth"
        )
    low, high = depth_range
    if pred.device.type == "mps":  # has no float64
        pred = pred.cpu()
    target = target.to(device=pred.device, dtype=torch.float64)
    valid = torch.isfinite(target) & (target >= low) & (target <= high)
    target = target[valid]
    pred = pred[valid].double().clamp(low, high)
    error = pred - target
    ratio = torch.maximum(pred / target, target / pred)
    terms = (
        torch.ones_like(error),
        error.square(),
        (pred.log() - target.log()).square(),
        error.abs() / target,
        error.square() / target,
        (pred.log10() - target.log10()).abs(),
        *((ratio < 1.25**k).double() for k in (1, 2, 3)),
    )
    return torch.stack([term.sum() for term in terms])


def depth_figures(sums: Tensor) -> dict[str, float]:
    """Turn sums per image into the depth figures of a data set.

    All figures pool the pixels of the data set, so an image with more valid pixels
    weighs more; ``rmse_per_image`` alone is the mean over images of each image's RMSE,
    which is never the larger where all images have equally many valid pixels. Images
    without a valid pixel count in neither.

    Args:
        sums: One row of :func:`depth_sums` per image.

    Returns:
        ``rmse`` and ``rmse_per_image`` in metres, ``log_rmse`` in natural-log units,
        ``abs_rel`` without unit, ``sq_rel`` in metres, ``log10`` in decades, and
        ``delta1``, ``delta2``, ``delta3`` as fractions in [0, 1].

    Shape:
        sums ``(images, 9)``.

    Raises:
        ValueError: If no image has a valid pixel.

    Examples:
        One image has 1 pixel that is 2 m off, another has 15 perfect pixels: over
        pixels sqrt(4 / 16) m, over images (2 + 0) / 2 m.

        >>> off, perfect = torch.zeros(9), torch.zeros(9)
        >>> off[:2], perfect[0] = torch.tensor([1.0, 4.0]), 15.0
        >>> figures = depth_figures(torch.stack([off, perfect]))
        >>> figures["rmse"], figures["rmse_per_image"]
        (0.5, 1.0)
    """
    sums = sums.double()
    seen = sums[sums[:, 0] > 0]
    if len(seen) == 0:
        raise ValueError(
            f"none of the {len(sums)} images has a valid depth pixel: check that the "
            "ground truth is in metres and that depth_range covers it"
        )
    pooled = seen.sum(0)
    mean = dict(zip(SUM_NAMES, (pooled / pooled[0]).tolist(), strict=True))
    return {
        "rmse": root_mean_square(pooled[:2]).item(),
        "rmse_per_image": root_mean_square(seen[:, :2]).mean().item(),
        "log_rmse": mean["squared_log"] ** 0.5,
        "abs_rel": mean["relative"],
        "sq_rel": mean["squared_relative"],
        "log10": mean["log10"],
        "delta1": mean["delta1"],
        "delta2": mean["delta2"],
        "delta3": mean["delta3"],
    }


# mmseg registers a DepthMetric of its own. Taking that name here would raise, or make
# mmseg's own import raise, depending on which module is imported first.
@METRICS.register_module(name="CMIMDepthMetric")
class DepthMetric(BaseMetric):
    """Evaluate depth maps in metres; figures in :func:`depth_figures`.

    Each image is reduced to nine float64 sums of its own, so the figures do not depend
    on batch size or number of processes, and images repeated to fill a distributed
    batch are trimmed. In text configs the type is ``CMIMDepthMetric``; mmseg has a
    ``DepthMetric`` of its own.

    ``region='eigen'`` evaluates the pixels ``[45:471, 41:601]`` of a 480 x 640 frame
    (:func:`eigen_crop`). The label crop of the NYUv2 toolbox and of Gupta et al. is
    the same rectangle up to one row and column, so it is no separate region.

    Args:
        depth_range: Smallest (> 0) and largest depth in metres. Predictions are
            clamped to it; ground truth outside is not evaluated, and ``measured_share``
            says how much of the known ground truth in ``region`` was.
        region: ``whole`` or ``eigen``.
        collect_device: ``cpu`` or ``gpu``, where distributed results are gathered.
        prefix: Put before the names, as ``prefix/rmse``.

    Shape:
        ``data_sample['gt_depth_map']['data']`` and
        ``data_sample['pred_depth_map']['data']``: ``(1, H, W)``, metres.

    Raises:
        ValueError: If an option is unknown, if prediction and ground truth differ in
            shape, or if no image of the data set has a valid pixel.

    Examples:
        >>> metric = DepthMetric(prefix="depth")
        >>> sample = dict(gt_depth_map=dict(data=torch.full((1, 2, 2), 2.0)),
        ...               pred_depth_map=dict(data=torch.full((1, 2, 2), 2.5)))
        >>> metric.process(None, [sample])
        >>> figures = metric.evaluate(size=1)
        >>> figures["depth/rmse"], figures["depth/abs_rel"], figures["depth/delta1"]
        (0.5, 0.25, 0.0)
    """

    # Not None: mmengine then warns that figures of two metrics may collide, which
    # evaluators with several metrics settle by their prefix.
    default_prefix = ""

    def __init__(
        self,
        depth_range: tuple[float, float] = (0.1, 10.0),
        region: str = "whole",
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        _check_range(depth_range)
        if region not in REGIONS:
            raise ValueError(
                f"region {region!r} is unknown; choose from {', '.join(REGIONS)}"
            )
        self.depth_range = depth_range
        self.region = region
        #: What :func:`root_mean_square` takes, of each image, once evaluated.
        self.image_sums: dict[str, Tensor] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Append the sums of each image of a batch."""
        for sample in data_samples:
            pred = sample["pred_depth_map"]["data"]
            target = truth_or_unknown(sample, "gt_depth_map", pred, 0)
            if pred.shape != target.shape or pred.ndim != 3 or pred.shape[0] != 1:
                raise ValueError(
                    f"predicted depth has shape {tuple(pred.shape)} and the ground "
                    f"truth {tuple(target.shape)} in {sample.get('img_path')}; both "
                    "must be the same (1, H, W)"
                )
            if self.region == "eigen":
                rows, columns = eigen_crop(*pred.shape[-2:])
                pred, target = pred[:, rows, columns], target[:, rows, columns]
            sums = depth_sums(pred, target, self.depth_range).cpu()
            known = (torch.isfinite(target) & (target > 0)).sum().cpu()
            self.results.append(torch.cat([sums, known.double()[None]]))

    def compute_metrics(self, results: list[Tensor]) -> dict[str, float]:
        """Return :func:`depth_figures` of all images and ``measured_share``."""
        if not results:
            raise ValueError("no image was evaluated: the data loader gave no sample")
        sums = torch.stack(results)
        low, high = self.depth_range
        left_out = (
            f"depth outside of {low:g} to {high:g} m counts nowhere; give the "
            "evaluator and the head the range of the data (depth_range)"
        )
        known, measured = sums[:, -1].sum().item(), sums[:, 0].sum().item()
        share = measured_share(measured, known, left_out)
        self.image_sums = {"rmse": sums[:, :2]}
        return dict(**depth_figures(sums[:, :-1]), measured_share=share)
