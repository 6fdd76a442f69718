"""Held-out images through a network: its codes, its latents, its last features."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmseg.registry import DATASETS
from torch import Tensor
from tqdm import tqdm

from cmim.analysis.codes import CodeStatistics
from cmim.analysis.pixel_sample import PixelSample, resize_labels
from cmim.contrast import ActivationTaps
from cmim.contrast.pairs import IGNORED
from cmim.functional.layout import as_maps
from cmim.methods import ActivationBinarizer
from cmim.models.teacher import tapped_outputs
from cmim.stages import ENCODER
from cmim.task import Task, labelling_tasks

PIXELS = 32
# Of a layer in all: a sample of 512 channels is then 8 MB.
MOST_ROWS = 4096
LAST = ENCODER


class HeldOut:
    """Evenly spaced images of a config's test split, read again on each pass.

    Args:
        config: Gives data set, transforms and batch size.
        count: Images wanted; all if there are fewer.

    Raises:
        ValueError: Fewer than four images.
    """

    def __init__(self, config: Config, count: int) -> None:
        self._dataset = DATASETS.build(config.test_dataloader.dataset)
        total = len(self._dataset)
        count = min(count, total)
        if count < 4:
            raise ValueError(
                f"{count} test images are too few: some are fitted on and others "
                "measured; give --images 4 or more"
            )
        self.indices = [i * total // count for i in range(count)]
        self._batch_size = config.test_dataloader.get("batch_size", 1)
        self.classes: Sequence[str] = self._dataset.metainfo.get("classes", ())

    @property
    def pixels(self) -> int:
        """Pixels to sample an image."""
        return max(1, min(PIXELS, MOST_ROWS // len(self.indices)))

    def batches(self, label: str) -> Iterator[tuple[list[int], dict[str, Any]]]:
        """Numbers of the images of a batch, and the batch; with a progress bar.

        Args:
            label: What the bar says.
        """
        numbers = range(len(self.indices))
        with tqdm(total=len(numbers), unit="image", desc=label) as bar:
            for begin in range(0, len(numbers), self._batch_size):
                part = list(numbers[begin : begin + self._batch_size])
                yield (
                    part,
                    pseudo_collate([self._dataset[self.indices[i]] for i in part]),
                )
                bar.update(len(part))


@dataclass
class Activations:
    """What :func:`read_activations` found.

    Attributes:
        sample: Rows ``NAME/binary``, ``NAME/latent``, ``NAME/label`` of each layer,
            and ``backbone/features``, ``backbone/label`` of the encoder's output.
        statistics: Codes of each layer, at every place.
        labels_are: What the labels are, for people.
        continuous: Labels are distances; else class numbers.
        per_image: One label an image: features are means over the image.
        kinds: Names of the ground truth that labels were read from.
    """

    sample: PixelSample
    statistics: dict[str, CodeStatistics] = field(default_factory=dict)
    labels_are: str = "classes"
    continuous: bool = False
    per_image: bool = False
    kinds: set[str] = field(default_factory=set)


@torch.no_grad()
def read_activations(
    model: BaseModel, names: Sequence[str], data: HeldOut, label: str, seed: int = 0
) -> Activations:
    """Run a network over held-out images and keep what the measures need.

    Args:
        model: Task model in evaluation mode.
        names: Its activation binarizers.
        data: The images.
        label: What the progress bar says.
        seed: Seed of the sampled places.
    """
    found = Activations(PixelSample(data.pixels, seed))
    taps = ActivationTaps(model, [*names, LAST])
    run = _shortest_pass(model, names)
    for numbers, batch in data.batches(label):
        ready = model.data_preprocessor(batch, training=False)
        with taps.recording() as seen:
            run(ready["inputs"])
        samples = ready["data_samples"]
        image = tuple(ready["inputs"].shape[2:])
        for name in names:
            tap = seen[name].on_grid(image)
            statistics = found.statistics.setdefault(name, CodeStatistics())
            statistics.update(_codes(taps.modules[name], tap.full_precision))
            found.sample.add(f"{name}/binary", tap.binary, numbers)
            found.sample.add(f"{name}/latent", tap.full_precision, numbers)
            labels = _labels(samples, tap.binary, found)
            found.sample.add(f"{name}/label", labels, numbers)
        features = as_maps(seen[LAST].binary[-1], image)
        labels = _labels(samples, features, found)
        if found.per_image:
            features, labels = (
                x.mean((2, 3), keepdim=True) for x in (features, labels)
            )
        found.sample.add(f"{LAST}/features", features, numbers)
        found.sample.add(f"{LAST}/label", labels, numbers)
    return found


def read_twin(
    twin: BaseModel, names: Sequence[str], data: HeldOut, seed: int = 0
) -> PixelSample:
    """The full-precision twin's features at the places of the codes.

    Args:
        twin: The trained twin.
        names: Activation binarizers of the binary network; the twin has modules of the
            same names there.
        data: The images.
        seed: Seed of the sampled places.
    """
    sample = PixelSample(data.pixels, seed)
    taps = ActivationTaps(twin, names)
    for numbers, batch in data.batches("twin"):
        ready = twin.data_preprocessor(batch, training=False)
        for name, features in tapped_outputs(twin, taps, ready["inputs"]).items():
            image = tuple(ready["inputs"].shape[2:])
            sample.add(name, as_maps(features, image), numbers)
    return sample


def _shortest_pass(model: BaseModel, names: Sequence[str]) -> Callable[[Tensor], Any]:
    """A pass that reaches all names, without the head if that holds none."""
    if all(name.startswith(f"{LAST}.") for name in names):
        return model.extract_feat
    return lambda inputs: model(inputs, mode="tensor")


def _codes(binarizer: torch.nn.Module, latent: Tensor) -> Tensor:
    """Which places reach the threshold; several thresholds give channels of their own.

    Read from the steps, so that scales and levels of any method make no difference.
    """
    assert isinstance(binarizer, ActivationBinarizer)
    steps = binarizer.steps(latent)
    return torch.cat([latent >= step.threshold for step in steps], dim=1)


def _labels(samples: list, features: Tensor, found: Activations) -> Tensor:
    """``(N, 1, H, W)`` at the resolution of the features, NaN where unknown."""
    known = [_known_labels(sample) for sample in samples]
    found.kinds.update(task.truth for task, _ in known if task)
    if len(found.kinds) > 1:
        raise ValueError(
            "some test pictures have classes and others only depth, which are no one "
            "label to measure against: let test_dataloader.dataset read one of the "
            "data sets that it joins"
        )
    for task, _ in known:
        if task and task.labels:
            found.labels_are = task.labels.are
            found.continuous = task.regression
            found.per_image = not task.channels
    maps = [resize_labels(values, *features.shape[2:]) for _, values in known]
    return torch.cat(maps)


def _known_labels(sample: Any) -> tuple[Task | None, Tensor]:
    """The first task whose labels a sample has, and its truth, NaN where unknown."""
    for task in labelling_tasks():
        if task.labels and task.truth in sample:
            truth = sample.get(task.truth)
            if not task.channels:
                return task, torch.as_tensor(truth).double().view(1, 1, 1)
            unknown = task.labels.of(truth.data) == IGNORED
            return task, truth.data.double().masked_fill(unknown, math.nan)
    return None, torch.full((1, 1, 1), math.nan)
