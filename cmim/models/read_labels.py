"""What the data samples of a batch say about their images, for the contrastive loss."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.contrast import BatchLabels
from cmim.task import labelling_tasks

# Whatever the samples have: classes, else distances.
ANY = "other_label"


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
        negatives: One of :func:`negatives_of_tasks`: whether labels exclude negatives,
            and which.
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
        regions=_label_maps(samples, ANY, device) if regions else None,
        classes=_image_classes(samples, device),
        indices=_image_values(samples, "sample_idx", device),
    )


def negatives_of_tasks() -> tuple[str, ...]:
    """What excludes negatives: nothing, the labels of a task, or those that there are.

    Examples:
        >>> negatives_of_tasks()
        ('all', 'other_class', 'other_depth', 'other_label')
    """
    words = {task.labels.word: None for task in labelling_tasks() if task.labels}
    return ("all", *(f"other_{word}" for word in words), ANY)


def _image_values(samples: list, name: str, device: torch.device) -> Tensor | None:
    if not samples or any(name not in sample for sample in samples):
        return None
    values = [int(sample.get(name)) for sample in samples]
    return torch.tensor(values).to(device, non_blocking=True)


def _image_classes(samples: list, device: torch.device) -> Tensor | None:
    """``(N,)`` classes of whole images, where all of them have one."""
    tasks = (task for task in labelling_tasks() if not task.channels)
    found = (_image_values(samples, task.truth, device) for task in tasks)
    return next((values for values in found if values is not None), None)


def _label_maps(
    samples: list, negatives: str, device: torch.device, image_level: bool = False
) -> Tensor:
    """``(N, H, W)`` labels, -1 for unknown; of images with one class ``(N, 1, 1)``.

    Samples of several tasks may have both: pixels take the map, images the class.
    """
    asked = [
        (task, task.labels)
        for task in labelling_tasks()
        if task.labels and negatives in (ANY, f"other_{task.labels.word}")
    ]
    dense = [(task, labels) for task, labels in asked if task.channels]
    if len(dense) < len(asked) and (
        image_level or not any(task.truth in s for s in samples for task, _ in dense)
    ):
        classes = _image_classes(samples, device)
        if classes is not None:
            return classes.view(-1, 1, 1)
    for task, labels in dense:
        if samples and all(task.truth in sample for sample in samples):
            maps = torch.stack([sample.get(task.truth).data[0] for sample in samples])
            return labels.of(maps)
    missing = asked[-1][1].option
    raise ValueError(
        f"negatives {negatives!r} needs {missing} in the training data: "
        f"set train_dataloader.dataset.pipeline.0.{missing}=True (for folders of "
        f"your own: dataset.{missing}, the pattern of the files), or "
        "model.negatives=all (and model.sampling=uniform)"
    )
