"""Segmentation metrics: one confusion matrix, and the figures computed from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from torch import Tensor

from tasks.ground_truth import truth_or_unknown
from tasks.measured_share import measured_share
from tasks.segmentation.iou import class_iou, class_sums

# The label that never has ground truth, whatever else is ignored.
_VOID = 255


def _check_labels(labels: Tensor, num_classes: int, name: str) -> None:
    if labels.is_floating_point():
        raise ValueError(f"{name} has dtype {labels.dtype}; class indices are integers")
    wrong = labels[(labels < 0) | (labels >= num_classes)].unique().tolist()
    if wrong:
        raise ValueError(
            f"{name} holds {wrong}; accepted are 0 to {num_classes - 1} (ground truth "
            "also ignore_index): check the class mapping and num_classes"
        )


def confusion_matrix(
    pred: Tensor, target: Tensor, num_classes: int, ignore_index: int = 255
) -> Tensor:
    r"""Count how often class i of the ground truth is predicted as class j.

    .. math::
        M_{ij} = |\{p : t_p = i, \ \hat t_p = j\}|

    Pixels whose ground truth is ``ignore_index`` count nowhere, whatever is predicted
    there; predictions are checked at the other pixels only.

    Args:
        pred: Predicted class indices.
        target: True class indices, or ``ignore_index``.
        num_classes: Number of classes C.
        ignore_index: Label of pixels without ground truth.

    Shape:
        pred and target ``(*)``, the same, integer; output ``(C, C)``, int64, rows are
        the ground truth.

    Raises:
        ValueError: If shapes differ, or a label is no integer or out of range.

    Examples:
        >>> target, pred = torch.tensor([0, 0, 1, 255]), torch.tensor([0, 1, 1, 0])
        >>> confusion_matrix(pred, target, num_classes=2).tolist()
        [[1, 1], [0, 1]]
    """
    if pred.shape != target.shape:
        raise ValueError(
            f"prediction has shape {tuple(pred.shape)} but the ground truth "
            f"{tuple(target.shape)}: resize the prediction to the ground truth"
        )
    target = target.to(pred.device)
    labelled = target != ignore_index
    pred, target = pred[labelled], target[labelled]
    _check_labels(target, num_classes, "ground truth")
    _check_labels(pred, num_classes, "prediction")
    # int64 before the product: class indices are often uint8, which would wrap.
    pairs = target.long() * num_classes + pred.long()
    counts = torch.bincount(pairs, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def segmentation_figures(matrix: Tensor) -> dict[str, Any]:
    r"""Turn the confusion matrix of a data set into its figures, in percent.

    .. math::
        \mathrm{IoU}_c = \frac{M_{cc}}{\sum_j M_{cj} + \sum_i M_{ic} - M_{cc}}, \qquad
        \mathrm{acc}_c = \frac{M_{cc}}{\sum_j M_{cj}}

    A class absent from both ground truth and prediction has IoU NaN and does not count
    in mIoU; one that is only predicted has IoU 0 and does count. A class without
    ground truth does not count in the mean accuracy.

    Args:
        matrix: Sum of :func:`confusion_matrix` over the images.

    Returns:
        Floats ``mIoU``, ``pixel_accuracy``, ``mean_accuracy``, and ``iou`` and
        ``accuracy``, float64 tensors of one value per class, NaN where undefined.

    Shape:
        matrix ``(C, C)``, rows are the ground truth.

    Raises:
        ValueError: If the matrix is not square, or no pixel was labelled.

    References:
        Long et al., Fully Convolutional Networks for Semantic Segmentation, CVPR 2015.
        https://arxiv.org/abs/1411.4038

    Examples:
        IoU 3 / 4 and 0 / 1 (predicted once, never true); the third class is absent.

        >>> matrix = torch.tensor([[3, 1, 0], [0, 0, 0], [0, 0, 0]])
        >>> figures = segmentation_figures(matrix)
        >>> figures["mIoU"], figures["pixel_accuracy"], figures["mean_accuracy"]
        (37.5, 75.0, 75.0)
        >>> figures["iou"].tolist()
        [75.0, 0.0, nan]
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"matrix has shape {tuple(matrix.shape)}; expected (classes, classes)"
        )
    counts = matrix.double()
    if counts.sum() == 0:
        raise ValueError(
            "no labelled pixel in the data set: every ground truth is ignore_index"
        )
    correct, truth = counts.diagonal(), counts.sum(1)
    iou = class_iou(correct, truth, counts.sum(0))
    accuracy = 100 * correct / truth
    return {
        "mIoU": iou.nanmean().item(),
        "pixel_accuracy": (100 * correct.sum() / counts.sum()).item(),
        "mean_accuracy": accuracy.nanmean().item(),
        "iou": iou,
        "accuracy": accuracy,
    }


def _class_table(names: Sequence[str], figures: dict[str, Any]) -> str:
    width = max(map(len, ["class", *names]))
    lines = [f"{'class':<{width}}  {'IoU':>6}  {'acc':>6}"]
    columns = zip(names, figures["iou"], figures["accuracy"], strict=True)
    lines += [f"{name:<{width}}  {iou:6.2f}  {acc:6.2f}" for name, iou, acc in columns]
    return "\n".join(lines)


def _by_class(
    names: Sequence[str], figures: dict[str, Any]
) -> dict[str, dict[str, float | None]]:
    columns = zip(names, figures["iou"], figures["accuracy"], strict=True)
    return {
        name: {
            key: None if value.isnan() else round(value.item(), 4)
            for key, value in (("iou", iou), ("accuracy", accuracy))
        }
        for name, iou, accuracy in columns
    }


@METRICS.register_module()
class SegmentationMetric(BaseMetric):
    """Evaluate label maps; figures in :func:`segmentation_figures`, in percent.

    Reports ``mIoU``, ``pixel_accuracy``, ``mean_accuracy`` and ``measured_share`` of
    the data set's one confusion matrix, not means over images. Each image is
    reduced to an integer matrix of its own, so the figures do not depend on batch size
    or number of processes, and images repeated to fill a distributed batch are trimmed.

    Args:
        num_classes: Number of classes C; ``None`` takes the length of
            ``dataset_meta['classes']``.
        ignore_index: Label of pixels without ground truth.
        per_class: Log a table of IoU and accuracy per class.
        collect_device: ``cpu`` or ``gpu``, where distributed results are gathered.
        prefix: Put before the names, as ``prefix/mIoU``.

    Shape:
        ``data_sample['gt_sem_seg']['data']`` and
        ``data_sample['pred_sem_seg']['data']``: ``(1, H, W)``, integer.

    Raises:
        ValueError: If the number of classes is unknown or contradicts the data set, if
            prediction and ground truth differ in shape, if a label is out of range, or
            if no pixel of the data set is labelled.

    Examples:
        >>> metric = SegmentationMetric(num_classes=2, prefix="seg")
        >>> sample = dict(gt_sem_seg=dict(data=torch.tensor([[[0, 0, 1, 255]]])),
        ...               pred_sem_seg=dict(data=torch.tensor([[[0, 1, 1, 0]]])))
        >>> metric.process(None, [sample])
        >>> metric.evaluate(size=1)["seg/mIoU"]
        50.0
    """

    # Not None: mmengine then warns that figures of two metrics may collide, which
    # evaluators with several metrics settle by their prefix.
    default_prefix = ""

    def __init__(
        self,
        num_classes: int | None = None,
        ignore_index: int = 255,
        per_class: bool = False,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.per_class = per_class
        #: IoU and accuracy by class name once evaluated; None where undefined.
        self.classes_measured: dict[str, dict[str, float | None]] = {}
        #: What ``tasks.segmentation.iou.mean_iou`` takes of each image, once evaluated.
        self.image_sums: dict[str, Tensor] = {}

    def _class_names(self) -> list[str]:
        names = (self.dataset_meta or {}).get("classes")
        if names is None and self.num_classes is None:
            raise ValueError(
                "the number of classes is unknown: give num_classes, or a data set "
                "whose metainfo has 'classes'"
            )
        if names is None:
            return [str(index) for index in range(self.num_classes or 0)]
        if self.num_classes not in (None, len(names)):
            raise ValueError(
                f"num_classes is {self.num_classes} but the data set names "
                f"{len(names)} classes: leave num_classes out, or correct one of them"
            )
        if len(names) == 1:
            raise ValueError(
                f"{names[0]!r} is the only class, so every prediction is right and "
                "mIoU is always 100: name two, and let what is void now be the other, "
                f"metainfo=dict(classes=['background', {names[0]!r}]) with "
                "label_values=[0, 255] for masks of 0 and 255, and num_classes=2"
            )
        return list(names)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Append the confusion matrix of each image of a batch."""
        num_classes = len(self._class_names())
        for sample in data_samples:
            pred = sample["pred_sem_seg"]["data"]
            target = truth_or_unknown(sample, "gt_sem_seg", pred, self.ignore_index)
            try:
                matrix = confusion_matrix(pred, target, num_classes, self.ignore_index)
            except ValueError as error:
                raise ValueError(f"{sample.get('img_path')}: {error}") from error
            known = int((target != _VOID).sum()) if "gt_sem_seg" in sample else 0
            self.results.append((matrix.cpu(), known))

    def compute_metrics(self, results: list[tuple[Tensor, int]]) -> dict[str, float]:
        """Return mIoU, the accuracies and ``measured_share`` over all images."""
        if not results:
            raise ValueError("no image was evaluated: the data loader gave no sample")
        matrices = torch.stack([matrix for matrix, _ in results])
        matrix = matrices.sum(0)
        left_out = f"class {self.ignore_index} is ignored (ignore_index)"
        known = sum(known for _, known in results)
        share = measured_share(matrix.sum().item(), known, left_out)
        figures = segmentation_figures(matrix)
        self.classes_measured = _by_class(self._class_names(), figures)
        self.image_sums = {"mIoU": class_sums(matrices)}
        if self.per_class:
            table = _class_table(self._class_names(), figures)
            print_log(f"per class, percent:\n{table}", logger="current")
        found = {k: figures[k] for k in ("mIoU", "pixel_accuracy", "mean_accuracy")}
        return dict(**found, measured_share=share)
