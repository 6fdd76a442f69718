"""What the data samples of a batch say about their images, for the contrastive loss."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.contrast import BatchLabels
from cmim.contrast.pairs import IGNORED, depth_bins

NEGATIVES = ("all", "other_class", "other_depth", "other_label")
VOID = 255


def read_labels(
    samples: list,
    negatives: str,
    device: torch.device,
    regions: bool = False,
    image_level: bool = False,
) -> BatchLabels:
    """Labels that a contrastive loss asks for.

    Args:
        samples: Data samples of the batch.
        negatives: One of ``NEGATIVES``: whether labels exclude negatives, and which.
        device: Where the labels go.
        regions: Whether anchors are sampled by label.
        image_level: Whether samples are whole images: their labels are then classes.

    Raises:
        ValueError: The samples lack the labels; the message says how to load them.
    """
    exclude = None
    if negatives != "all":
        exclude = _label_maps(samples, negatives, device, image_level)
        if image_level and exclude.shape[1:] != (1, 1):
            raise ValueError(
                f"negatives {negatives!r} at level 'image' needs one class an image, "
                "and these samples have maps: use negatives='all', or level='pixel'"
            )
    return BatchLabels(
        exclude=exclude,
        regions=_label_maps(samples, "other_label", device) if regions else None,
        classes=_image_values(samples, "gt_label", device),
        indices=_image_values(samples, "sample_idx", device),
    )


def _image_values(samples: list, name: str, device: torch.device) -> Tensor | None:
    if not samples or any(name not in sample for sample in samples):
        return None
    values = [int(sample.get(name)) for sample in samples]
    return torch.tensor(values).to(device, non_blocking=True)


def _label_maps(
    samples: list, negatives: str, device: torch.device, image_level: bool = False
) -> Tensor:
    """``(N, H, W)`` labels, -1 for unknown; of images with one class ``(N, 1, 1)``.

    Samples of several tasks may have both: pixels take the map, images the class.
    """
    dense = ["gt_sem_seg", *(["gt_depth_map"] if negatives != "other_class" else [])]
    whole = image_level or not any(name in s for s in samples for name in dense)
    classes = _image_values(samples, "gt_label", device)
    if negatives != "other_depth" and whole and classes is not None:
        return classes.view(-1, 1, 1)
    has_classes = all("gt_sem_seg" in sample for sample in samples)
    has_depth = all("gt_depth_map" in sample for sample in samples)
    by_class = negatives == "other_class" or (
        negatives == "other_label" and has_classes
    )
    if not samples or not (has_classes if by_class else has_depth):
        missing = "labels" if by_class else "depth"
        raise ValueError(
            f"negatives {negatives!r} needs {missing} in the training data: "
            f"set train_dataloader.dataset.pipeline.0.{missing}=True (for folders of "
            f"your own: dataset.{missing}, the pattern of the files), or "
            "model.negatives=all (and model.sampling=uniform)"
        )
    if by_class:
        maps = torch.stack([s.gt_sem_seg.data[0] for s in samples])
        return maps.masked_fill(maps == VOID, IGNORED)
    return depth_bins(torch.stack([s.gt_depth_map.data[0] for s in samples]))
