"""Answers averaged over views of a picture: mirrored, and of other sizes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from cmim.engine.views import View
from cmim.task_model import Head, describe


def view_of(inputs: Tensor, view: View) -> Tensor:
    """A view of normalised pictures.

    Shape:
        ``(N, C, H, W)``; output of the view's size.
    """
    if view.zoom != 1:
        height, width = (max(1, round(view.zoom * n)) for n in inputs.shape[2:])
        inputs = F.interpolate(
            inputs,
            (height, width),
            mode="bilinear",
            align_corners=False,
            antialias=view.zoom < 1,
        )
    return inputs.flip(-1) if view.flip else inputs


def put_back(answers: Tensor, view: View, size: tuple[int, int]) -> Tensor:
    """Pixels of answers on a view, where they belong in the picture.

    Shape:
        ``(N, C, h, w)``; output ``(N, C, *size)``.
    """
    answers = answers.flip(-1) if view.flip else answers
    if tuple(answers.shape[2:]) == size:
        return answers
    return F.interpolate(answers, size, mode="bilinear", align_corners=False)


def predict_views(
    model: BaseModel, batch: dict[str, Any], views: Sequence[View]
) -> list[Any]:
    """Samples filled with the mean of what a model answers on views of their pictures.

    The mean is each task's own (``Task.average``): of probabilities, of metres, of
    vectors. It is taken at the resolution of the network's input.

    Args:
        model: A task model in evaluation mode.
        batch: Of a test loader, pictures of one size.
        views: At least one.

    Returns:
        The batch's samples, filled as ``model.test_step`` fills them.
    """
    batch = model.data_preprocessor(batch, False)
    inputs, samples = batch["inputs"], batch["data_samples"]
    found = describe(model)
    size = (inputs.shape[2], inputs.shape[3])
    answers: dict[str, list[Tensor]] = {}
    for view in views:
        seen = view_of(inputs, view)
        for head, answer in _answers(model, seen, _metas(samples, seen)):
            if head.kind.channels:
                answer = put_back(answer, view, size)
            restored = head.kind.restore(answer, view.flip, view.zoom)
            answers.setdefault(head.task, []).append(restored)
    for task, parts in answers.items():
        kind = found.heads[task].kind
        together = kind.average(torch.stack(parts))
        if found.segmentor:
            samples = model.postprocess_result(together, samples)
        else:
            kind.fill(together, samples)
    return samples


def _answers(
    model: BaseModel, inputs: Tensor, metas: list[dict]
) -> Iterator[tuple[Head, Tensor]]:
    """What each head gives at the inputs' resolution."""
    found = describe(model)
    if found.segmentor:
        # mmseg's own way: it may look in windows, and cascades have several heads.
        (head,) = found.heads.values()
        yield head, model.inference(inputs, metas)
        return
    features = model.extract_feat(inputs)
    for head in found.heads.values():
        yield head, head.kind.output(head.part, features, metas)


def _metas(samples: list[Any], inputs: Tensor) -> list[dict]:
    """What heads are told of pictures, for a view of another size."""
    size = tuple(inputs.shape[2:])
    metas = [copy.deepcopy(sample.metainfo) for sample in samples]
    for meta in metas:
        meta["img_shape"] = size
        if "pad_shape" in meta:
            meta["pad_shape"] = size
    return metas
