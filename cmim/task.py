"""What a task is: declared once, in its folder, and asked by everyone else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.structures import PixelData
from numpy.typing import NDArray
from torch import Generator, Tensor

from cmim.naming import factories
from cmim.ranks import shared_count, world_size
from cmim.task_view import View

Size = tuple[int, int]
_declared: dict[str, Task] = {}


def _mean(outputs: Tensor) -> Tensor:
    return outputs.mean(dim=0)


def _as_it_is(output: Tensor, mirrored: bool, zoom: float) -> Tensor:
    return output


@dataclass(frozen=True)
class Labels:
    """How the ground truth of a task tells places, or whole images, apart.

    Args:
        word: ``negatives='other_WORD'`` compares by these labels.
        are: What the values are, for people.
        option: Option of the loading transform, and of data sets in folders, that
            gives the ground truth.
        of: Ground truth, any shape, to integer labels of that shape, -1 where unknown.
    """

    word: str
    are: str
    option: str
    of: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Drawing:
    """Truth and prediction of a sample in the same colours, RGB ``(H, W, 3)`` uint8.

    Args:
        image: The picture that was predicted on.
        truth: None where nothing is known.
        prediction: What the model says.
        flat: Colours are names, as of classes: smaller pictures mix none.
    """

    image: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None
    prediction: NDArray[np.uint8]
    flat: bool = False


@dataclass(frozen=True)
class Task:
    """A question that is asked of every pixel, or of every image.

    Declaring a task makes it known by its name, so importing its folder is enough. A
    module that is run again (``importlib.reload``, a notebook's cell) replaces what it
    declared. A head says which task it solves by a class attribute ``task``, a joint
    model by the names of its heads.

    Args:
        name: What a joint model calls its head.
        truth: Name of the ground truth in the data samples.
        prediction: Name of what a model fills the samples with.
        fill: Puts what a head gives, at the input's resolution, into the samples.
        figure: The one figure that stands for the task, without a prefix.
        higher_is_better: Whether a larger figure is the better one.
        channels: Channels of the ground truth; 0 for one label an image.
        unknown: Value of ground truth that says nothing, which all losses ignore.
        dtype: Of the ground truth.
        regression: Whether errors are distances, for the uncertainty weights.
        answer: Module of the head that gives what it answers.
        labels: How losses and analyses group pixels by the ground truth, if they do.
        synthesize: ``(generator, (H, W), config of the head)`` to random ground truth
            of an image, for benchmarks and tests; nothing known when None.
        write: ``(sample, path without ending, class names, palette)`` writes a
            prediction and gives the path of the picture to look at; None for none.
        files: What the names of written files end with.
        average: ``(V, N, ...)``, what a head gives for V views of pictures, to what
            all of them say: the mean where nothing else is said.
        restore: ``(output, mirrored, zoom)`` to what a head's output on a mirrored or
            zoomed picture means for the picture itself, its pixels being where they
            belong already: vectors turn, distances change. As it is where nothing is
            said.
        draw: ``(predicted sample, palette or None)`` to pictures that are compared side
            by side; None for none.
        view: ``(predicted sample, class names, palette)`` to what a page shows and says
            of each pixel; None for nothing.
        of_sums: The figure of sums over images, any leading axes; the metric keeps
            those of each image as ``image_sums[figure]``. None where it keeps none.

    Attributes:
        home: Name of the module whose own lines declare it; None within a function.

    Raises:
        ValueError: Another task has this name.

    Examples:
        >>> get_task("depth").truth, get_task("depth").higher_is_better
        ('gt_depth_map', False)
    """

    name: str
    truth: str
    prediction: str
    fill: Callable[[Tensor, list], None]
    figure: str
    higher_is_better: bool = True
    channels: int = 1
    unknown: int = 0
    dtype: torch.dtype = torch.float32
    regression: bool = False
    answer: str = "conv_seg"
    labels: Labels | None = None
    synthesize: Callable[[Generator, Size, Mapping[str, Any]], Tensor] | None = None
    write: Callable[[Any, Path, Sequence[str], Sequence], Path] | None = None
    files: tuple[str, ...] = ()
    average: Callable[[Tensor], Tensor] = _mean
    restore: Callable[[Tensor, bool, float], Tensor] = _as_it_is
    draw: Callable[[Any, Sequence | None], Drawing] | None = None
    view: Callable[[Any, Sequence[str], Sequence], View] | None = None
    of_sums: Callable[[Tensor], Tensor] | None = None
    home: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", _running_module())
        known = _declared.get(self.name)
        if known == self:
            return
        if known and (self.home is None or self.home != known.home):
            raise ValueError(f"there are two tasks '{self.name}': rename one of them")
        _declared[self.name] = self

    @property
    def of_data_classes(self) -> bool:
        """Whether its answers are the classes that the data set names."""
        return self.labels is not None and not self.regression

    def nothing_known(self, size: Size, device: torch.device | None = None) -> Tensor:
        """Ground truth ``(channels, H, W)`` that says nothing."""
        shape = (self.channels, *size)
        return torch.full(shape, self.unknown, dtype=self.dtype, device=device)

    def random_truth(self, generator: Generator, size: Size, head: Mapping) -> Any:
        """Random ground truth as samples hold it."""
        if self.synthesize is None:
            return PixelData(data=self.nothing_known(size))
        values = self.synthesize(generator, size, head)
        return PixelData(data=values) if self.channels else int(values)

    def complete(self, samples: list, size: Size, device: torch.device) -> bool:
        """Give samples without this task's ground truth one that says nothing.

        Dense heads then see every image of the batch, as their batch-norm must.

        Args:
            samples: Changed in place.
            size: ``(H, W)`` of the ground truth.
            device: Where it goes.

        Returns:
            Whether any sample has ground truth of its own.
        """
        lacking = [sample for sample in samples if self.truth not in sample]
        if self.channels:
            for sample in lacking:
                data = PixelData(data=self.nothing_known(size, device))
                sample.set_data({self.truth: data})
        return len(lacking) < len(samples)

    def loss(
        self, head: Any, features: tuple[Tensor, ...], samples: list
    ) -> dict[str, Tensor]:
        """The head's losses; 0 with a graph where no sample has ground truth.

        Those of one label an image are means over the images of all processes that have
        one, as dense heads' are over pixels.
        """
        if self.channels:
            return head.loss_by_feat(head(features), samples)
        rows = [i for i, sample in enumerate(samples) if self.truth in sample]
        share = _share(len(rows), features[0])
        if not rows:
            return dict(loss_ce=0 * head(features).sum())
        if len(rows) < len(samples):
            features = tuple(feature[rows] for feature in features)
        losses = head.loss(features, [samples[i] for i in rows])
        return {name: share * value for name, value in losses.items()}

    def output(
        self, head: Any, features: tuple[Tensor, ...], metas: list[dict]
    ) -> Tensor:
        """What a head gives, at the input's resolution.

        Args:
            head: Of this task.
            features: That it reads.
            metas: Of the pictures; ``img_shape`` is the input's ``(H, W)``.
        """
        output = head(features)
        return head.predict_by_feat(output, metas) if self.channels else output

    def predict(self, head: Any, features: tuple[Tensor, ...], samples: list) -> None:
        """Fill the samples with predictions at their original resolution."""
        metas = [sample.metainfo for sample in samples]
        self.fill(self.output(head, features, metas), samples)


def _share(count: int, like: Tensor) -> Tensor | int:
    """Factor of a mean over images, so that the average over processes is the mean."""
    if world_size() == 1:
        return 1
    # Filled on the device: a copy from here would wait for it.
    here = torch.full((), float(count), device=like.device)
    return here / shared_count(here, here.dtype)


def _running_module() -> str | None:
    """Name of the module whose own lines make a task, not those of a function."""
    # Of the frames in front: __post_init__ and the __init__ of the dataclass.
    caller = sys._getframe(3)
    at_the_top = caller.f_code.co_name == "<module>"
    return caller.f_globals.get("__name__") if at_the_top else None


def known_tasks() -> dict[str, Task]:
    """All tasks by name: those in ``tasks/``, and others that were imported.

    First those with labels, classes before distances.

    Examples:
        >>> list(known_tasks())
        ['classes', 'seg', 'depth', 'scene', 'edges', 'normals']
    """
    factories("tasks", "TASK")

    def place(task: Task) -> tuple:
        return not task.labels, task.regression, task.channels > 0, task.name

    return {task.name: task for task in sorted(_declared.values(), key=place)}


def get_task(name: str) -> Task:
    """The task of a name.

    Raises:
        ValueError: There is none; the message lists those there are.
    """
    # Not all of them are imported for one that is known already.
    task = _declared.get(name) or known_tasks().get(name)
    if task is None:
        raise ValueError(
            f"task {name!r} is unknown; choose from {', '.join(known_tasks())}, or "
            "import the folder that declares it in the config"
        )
    return task


def labelling_tasks() -> list[Task]:
    """Tasks whose ground truth groups images or pixels, classes before distances."""
    return [task for task in known_tasks().values() if task.labels]
