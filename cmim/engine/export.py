"""Export a checkpoint, check it, and say what the engine makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino as ov
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from cmim.deploy.openvino_export import (
    NetworkCore,
    convert_packed,
    describe,
    save_model,
)
from cmim.deploy.packed_conv import pack_network
from cmim.deploy.quantize import quantize_rest, require_nncf
from cmim.deploy.verify import verify_layers
from cmim.engine.config import ConfigError
from cmim.engine.evaluate import load_task_model

RESTS = ("float32", "int8")
CALIBRATION_IMAGES = 64


def export_network(
    config: Config,
    checkpoint: str,
    out: str | Path,
    size: tuple[int, int] | None = None,
    batch: int = 1,
    verify: bool = False,
    rest: str = "float32",
) -> dict[str, Any]:
    """Export, and optionally verify, a trained network.

    Args:
        config: A config of this project.
        checkpoint: Trained with it.
        out: The ``.xml`` to write; ``.bin`` beside it.
        size: Height and width of the input in pixels; those of the config's first test
            image when None.
        batch: Images at a time.
        verify: Compare each binary layer with integers.
        rest: One of ``RESTS``: what the layers beside the binary ones become.

    Returns:
        ``bytes`` of the two files, ``checkpoint_bytes``, ``latent_bytes`` (the
        network's weights as float32), ``layers`` (name, kernel and shapes as the engine
        runs them), ``verified`` rows, and ``wrong``: how many values differed, or None.

    Raises:
        ConfigError: ``out`` is no ``.xml``.
        ExportError: A layer that cannot be exported exactly, by name.
    """
    if not str(out).endswith(".xml"):
        raise ConfigError(f"--out {out}: name a file that ends with .xml")
    if rest == "int8":
        require_nncf()
    model = load_task_model(config, checkpoint).cpu()
    image = None if size else _first_image(config, model)
    if image is None:
        assert size is not None
        image = torch.zeros(1, 3, *size)
    example = image.expand(batch, -1, -1, -1).contiguous()
    core, names = pack_network(NetworkCore(model).float(), example)
    with torch.no_grad():
        core(example)  # so that packed layers know their sizes
    converted = convert_packed(core, example)
    if rest == "int8":
        images = calibration_images(config, model, tuple(example.shape[2:]), batch)
        converted = quantize_rest(converted, images, everything=not names)
    describe(converted, model)
    save_model(converted, out)
    rows = verify_layers(core, example) if verify else []
    weights = sum(v.numel() * 4 for v in model.state_dict().values())
    return dict(
        out=str(out),
        input=list(example.shape),
        bytes=sum(Path(out).with_suffix(s).stat().st_size for s in (".xml", ".bin")),
        latent_bytes=weights,
        checkpoint_bytes=Path(checkpoint).stat().st_size,
        packed=len(names),
        layers=engine_layers(out),
        verified=rows,
        wrong=sum(row["wrong"] for row in rows) if verify else None,
    )


def engine_layers(path: str | Path) -> list[dict[str, str]]:
    """What the engine runs: name, type and kernel of each layer with weights."""
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(str(path), "CPU", options)
    rows = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        kind = info["layerType"].astype(str)
        if "Convolution" in kind or kind in ("FullyConnected", "MatMul"):
            rows.append(
                dict(
                    name=node.get_friendly_name(),
                    type=kind,
                    kernel=info["primitiveType"].astype(str),
                    output="x".join(str(n) for n in node.get_output_shape(0)),
                )
            )
    return rows


def format_export(figures: dict[str, Any]) -> str:
    """The table of layers and a summary line."""
    lines = [f"{'layer':56s} {'type':20s} {'kernel':24s} output"]
    lines += [
        f"{row['name'][:56]:56s} {row['type']:20s} {row['kernel']:24s} {row['output']}"
        for row in figures["layers"]
    ]
    if figures["verified"]:
        values = sum(row["values"] for row in figures["verified"])
        lines.append(
            f"verified: {len(figures['verified'])} binary layers, {values} values, "
            f"{figures['wrong']} wrong"
        )
    size, latent, checkpoint = (
        figures[f"{what}bytes"] / 1e6 for what in ("", "latent_", "checkpoint_")
    )
    lines.append(
        f"{figures['out']}: {size:.2f} MB, weights as float32 {latent:.2f} MB "
        f"({latent / size:.1f} x), checkpoint {checkpoint:.2f} MB; "
        f"{figures['packed']} binary layers packed"
    )
    return "\n".join(lines)


def _first_image(config: Config, model: Any) -> torch.Tensor:
    loader = Runner.build_dataloader(
        {**config.test_dataloader, "num_workers": 0, "persistent_workers": False},
        seed=0,
    )
    batch = model.data_preprocessor(next(iter(loader)), False)
    return batch["inputs"][:1].float()


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
        count: How many.
    """
    loader = config.train_dataloader
    dataset = {**loader.dataset, "pipeline": config.test_dataloader.dataset.pipeline}
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
