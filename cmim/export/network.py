"""Export a checkpoint, check it, and say what the engine makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from cmim.deploy.network_core import NetworkCore, normalisation
from cmim.deploy.packed_conv import pack_network
from cmim.deploy.requirements import require_onnx, require_openvino
from cmim.engine.config import ConfigError
from cmim.engine.config_place import named_part
from cmim.engine.evaluate import load_task_model
from cmim.export.images import calibration_images, first_image, write_sample
from cmim.identity import identity_of
from cmim.stages import input_bands

RESTS = ("float32", "int8")
# What is written, and how its file is called.
FORMATS = {"npz": ".npz", "onnx": ".onnx", "openvino": ".xml"}


def choose_format(out: str | Path, name: str | None = None) -> str:
    """The format that a file's ending says, if it is the one that is asked for.

    Args:
        out: The file to write.
        name: One of ``FORMATS``, or None for what the ending says.

    Raises:
        ConfigError: They contradict, or the ending says nothing.

    Examples:
        >>> choose_format("seg.onnx")
        'onnx'
    """
    wanted = FORMATS.values() if name is None else [FORMATS[name]]
    found = [key for key, suffix in FORMATS.items() if str(out).endswith(suffix)]
    if not found or (name is not None and found != [name]):
        asked = "" if name is None else f" is no --format {name}"
        raise ConfigError(
            f"--out {out}{asked}: name a file that ends with {' or '.join(wanted)}"
        )
    return found[0]


@named_part
def export_network(
    config: Config,
    checkpoint: str,
    out: str | Path,
    size: tuple[int, int] | None = None,
    batch: int = 1,
    verify: bool = False,
    rest: str = "float32",
    form: str | None = None,
    sample: str | Path | None = None,
) -> dict[str, Any]:
    """Export, and optionally verify, a trained network.

    Args:
        config: A config of this project.
        checkpoint: Trained with it.
        out: The file to write; beside an ``.xml`` there is a ``.bin``.
        size: Height and width of the input in pixels; those of the config's first test
            image when None.
        batch: Images at a time; an ``.npz`` takes any number.
        verify: Compare what was written with torch and, layer by layer, with integers.
        rest: One of ``RESTS``: what the layers beside the binary ones become.
        form: One of ``FORMATS``; by the ending of ``out`` when None.
        sample: An ``.npz`` to write for checks elsewhere, see :func:`write_sample`.

    Returns:
        ``bytes`` of the files, ``checkpoint_bytes``, ``latent_bytes`` (the network's
        weights as float32), ``layers`` (as the engine runs them, or the steps of the
        raw program), ``verified`` rows, ``wrong``: how many values of binary layers
        differed, or None, and what else the check of the format found.

    Raises:
        ConfigError: ``out`` contradicts ``form``, or ``form`` has no such ``rest``.
        ExportError: A layer that cannot be exported exactly, by name.
        ImportError: A package that the format needs is missing.
    """
    form = choose_format(out, form)
    _check_possible(form, rest, verify)
    if str(checkpoint).endswith((".xml", ".npz", ".onnx")):
        raise ConfigError(
            f"'{checkpoint}' is exported already; name the checkpoint it was made of, "
            "WORK_DIR/last.pth"
        )
    model = load_task_model(config, checkpoint).cpu()
    image = None if size else first_image(config, model)
    if image is None:
        assert size is not None
        # Noise, since values of a constant image lie on thresholds by chance.
        noise = torch.Generator().manual_seed(0)
        image = torch.randn(1, input_bands(model), *size, generator=noise)
    example = image.expand(batch, -1, -1, -1).contiguous()
    core, names = pack_network(NetworkCore(model).float(), example)
    if form == "openvino":
        found = _to_openvino(config, model, core, example, out, verify, rest, names)
    else:
        from cmim.export.raw import WRITERS

        found = WRITERS[form](
            core, example, out, normalisation(model), verify, identity_of(config)
        )
    if sample is not None:
        write_sample(sample, config, model, core, tuple(example.shape[2:]))
    suffixes = [".xml", ".bin"] if form == "openvino" else [Path(out).suffix]
    files = [Path(out).with_suffix(suffix) for suffix in suffixes]
    return dict(
        out=str(out),
        format=form,
        input=list(example.shape),
        bytes=sum(file.stat().st_size for file in files),
        latent_bytes=sum(v.numel() * 4 for v in model.state_dict().values()),
        checkpoint_bytes=Path(checkpoint).stat().st_size,
        packed=len(names),
        **found,
        wrong=sum(row["wrong"] for row in found["verified"]) if verify else None,
    )


def _check_possible(form: str, rest: str, verify: bool) -> None:
    if rest != "float32" and form != "openvino":
        raise ConfigError(
            f"--rest {rest} is made for .xml files only, not for {FORMATS[form]}"
        )
    if rest == "int8":
        from cmim.deploy.quantize import require_nncf

        require_nncf()
    if form == "onnx":
        require_onnx()
    if form == "openvino" or (form == "onnx" and verify):
        require_openvino()


def _to_openvino(
    config: Config,
    model: Any,
    core: torch.nn.Module,
    example: torch.Tensor,
    out: str | Path,
    verify: bool,
    rest: str,
    names: list[str],
) -> dict[str, Any]:
    from cmim.deploy.openvino_export import convert_packed, describe, save_model
    from cmim.deploy.quantize import quantize_rest
    from cmim.deploy.verify import verify_layers

    with torch.no_grad():
        core(example)  # so that packed layers know their sizes
    converted = convert_packed(core, example)
    if rest == "int8":
        size, batch = tuple(example.shape[2:]), len(example)
        images = calibration_images(config, model, size, batch)
        converted = quantize_rest(converted, images, everything=not names)
    describe(converted, model, identity_of(config))
    save_model(converted, out)
    rows = verify_layers(core, example) if verify else []
    return dict(layers=engine_layers(out), verified=rows)


def engine_layers(path: str | Path) -> list[dict[str, str]]:
    """What the engine runs: name, type and kernel of each layer with weights."""

    from cmim.deploy.shared_core import shared_core

    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = shared_core().compile_model(str(path), "CPU", options)
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
    lines = []
    if figures["layers"]:
        lines.append(f"{'layer':56s} {'type':20s} {'kernel':24s} output")
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
    if "difference" in figures:
        lines.append(
            f"output against torch: largest difference {figures['difference']:.2g} of "
            f"values up to {figures['largest']:.3g}"
        )
    if "same_class" in figures:
        lines.append(f"class map: {figures['same_class']:.2%} of the places alike")
    size, latent, checkpoint = (
        figures[f"{what}bytes"] / 1e6 for what in ("", "latent_", "checkpoint_")
    )
    lines.append(
        f"{figures['out']}: {size:.2f} MB, weights as float32 {latent:.2f} MB "
        f"({latent / size:.1f} x), checkpoint {checkpoint:.2f} MB; "
        f"{figures['packed']} binary layers packed"
    )
    return "\n".join(lines)
