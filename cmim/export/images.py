"""Images that an export is made, calibrated and checked with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from cmim.data_parts import data_parts, with_parts
from cmim.task_model import describe
from cmim.whole_output import whole_output

CALIBRATION_IMAGES = 64


def first_image(config: Config, model: Any) -> torch.Tensor:
    """The first test image ``(1, C, H, W)``, normalised."""
    batch = model.data_preprocessor(_first_batch(config), False)
    return batch["inputs"][:1].float()


def _first_batch(config: Config) -> dict[str, Any]:
    loader = Runner.build_dataloader(
        {**config.test_dataloader, "num_workers": 0, "persistent_workers": False},
        seed=0,
    )
    return next(iter(loader))


@torch.no_grad()
def write_sample(
    path: str | Path,
    config: Config,
    model: Any,
    core: torch.nn.Module,
    size: tuple[int, ...],
) -> None:
    """Write the first test image and what the network makes of it.

    ``image`` is uint8 ``(H, W, C)``, RGB first; ``output`` the head's, float32, with a
    batch of one; of a joint model ``output_TASK`` each.

    Args:
        path: The ``.npz`` file.
        config: Gives the test data.
        model: The task model, whose normalisation is used.
        core: The packed network.
        size: Height and width of its input in pixels.
    """
    found = describe(model)
    image = _first_batch(config)["inputs"][0][None].float()
    if tuple(image.shape[2:]) != size:
        image = torch.nn.functional.interpolate(image, size, mode="bilinear")
    image = image.round()
    mean, std = (
        torch.tensor(found.normalisation[name]).view(-1, 1, 1)
        for name in ("mean", "std")
    )
    outputs = core((image - mean) / std)
    if found.joint:
        pairs = zip(found.heads, outputs, strict=True)
        named = {f"output_{task}": output.numpy() for task, output in pairs}
    else:
        named = dict(output=outputs.numpy())
    pixels = image[0].permute(1, 2, 0).to(torch.uint8).numpy()
    # An open file: NumPy adds .npz to other names.
    with whole_output(path) as place, open(place, "wb") as file:
        np.savez(file, image=pixels, **named)


def calibration_images(
    config: Config,
    model: Any,
    size: tuple[int, ...],
    batch: int,
    count: int = CALIBRATION_IMAGES,
) -> list[torch.Tensor]:
    """Training images at the size of the exported network, normalised.

    Prepared as test images are, so that no augmentation widens the ranges.

    Args:
        config: Gives training data and the test pipeline.
        model: The task model, whose normalisation is used.
        size: Height and width in pixels.
        batch: Images at a time.
        count: Number of images.
    """
    loader = config.train_dataloader
    tested = [part for _, part in data_parts(config, "test_dataloader")]

    def prepared(part: Any) -> dict[str, Any]:
        """Read as test images of its kind are, where there are several kinds."""
        alike = [test for test in tested if test.get("type") == part.get("type")]
        return {**part, "pipeline": (alike or tested)[0]["pipeline"]}

    dataset = with_parts(loader.dataset, prepared)
    options = dict(
        dataset=dataset,
        batch_size=1,
        num_workers=0,
        sampler=dict(type="DefaultSampler", shuffle=True),
        collate_fn=config.test_dataloader.get(
            "collate_fn", dict(type="pseudo_collate")
        ),
    )
    images = []
    for sample in Runner.build_dataloader(options, seed=0):
        image = model.data_preprocessor(sample, False)["inputs"].float()
        image = torch.nn.functional.interpolate(image, size, mode="bilinear")
        images.append(image.expand(batch, -1, -1, -1).contiguous())
        if len(images) == count:
            break
    return images
