"""Export a checkpoint, check the file, and list the layers that the engine runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config

from cmim.deploy.formats import export_formats, format_of, rests
from cmim.deploy.formats.format import (
    Checked,
    PackedNetwork,
    WrittenLayer,
)
from cmim.deploy.network_core import NetworkCore
from cmim.deploy.packed_conv import pack_network
from cmim.engine.config import ConfigError
from cmim.engine.config_place import named_part
from cmim.engine.evaluate import load_task_model
from cmim.export.images import calibration_images, first_image, write_sample
from cmim.identity import identity_of
from cmim.optional_packages import require_packages
from cmim.stages import input_bands


class ExportFigures(Checked):
    """Figures of an export; those of :class:`Checked` where the file was checked.

    Attributes:
        out: The file.
        format: Its name.
        rest: The form of the layers beside the binary ones.
        input: Shape of the input ``[N, C, H, W]``.
        bytes: Size of the file and those beside it.
        latent_bytes: Size of the network's weights as float32.
        checkpoint_bytes: Size of the checkpoint.
        packed: Binary layers in the file.
        layers: As the engine runs them, or the steps of the file.
        verified: A row for each binary layer that was compared with integers.
        wrong: Number of values of binary layers that differ; None without a check.
    """

    out: str
    format: str
    rest: str
    input: list[int]
    bytes: int
    latent_bytes: int
    checkpoint_bytes: int
    packed: int
    layers: list[WrittenLayer]
    wrong: int | None


def choose_format(out: str | Path, name: str | None = None) -> str:
    """The format that a file's ending says, if it is the one that is asked for.

    Args:
        out: The file to write.
        name: One of :func:`export_formats`, or None for what the ending says.

    Raises:
        ConfigError: They contradict, or the ending says nothing.

    Examples:
        >>> choose_format("seg.onnx")
        'onnx'
    """
    known = export_formats()
    wanted = known if name is None else {name: known[name]}
    found = [key for key, form in wanted.items() if form is format_of(out)]
    if not found:
        asked = "" if name is None else f" is no --format {name}"
        endings = " or ".join(form.suffix for form in wanted.values())
        slim = ", or give --weights-only" if Path(out).suffix == ".pth" else ""
        raise ConfigError(
            f"--out {out}{asked}: name a file that ends with {endings}{slim}"
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
) -> ExportFigures:
    """Export, and optionally verify, a trained network.

    Args:
        config: A config of this project.
        checkpoint: Trained with it.
        out: The file to write; beside an ``.xml`` there is a ``.bin``.
        size: Height and width of the input in pixels; those of the config's first test
            image when None.
        batch: Images at a time; an ``.npz`` takes any number.
        verify: Compare what was written with torch and, layer by layer, with integers.
        rest: The form of the layers beside the binary ones, one of the format's.
        form: One of :func:`export_formats`; by the ending of ``out`` when None.
        sample: An ``.npz`` to write for checks elsewhere, see :func:`write_sample`.

    Raises:
        ConfigError: ``out`` contradicts ``form``, or ``form`` has no such ``rest``.
        ExportError: A layer that cannot be exported exactly, by name.
        ImportError: A package that the format needs is missing.
    """
    form = choose_format(out, form)
    chosen = export_formats()[form]
    _check_possible(form, rest, verify)
    if format_of(checkpoint) is not None:
        raise ConfigError(
            f"'{checkpoint}' is exported already; name the checkpoint it was made of, "
            "WORK_DIR/last.pth"
        )
    model = load_task_model(config, checkpoint).cpu()
    image = _noise(input_bands(model), size) if size else first_image(config, model)
    example = image.expand(batch, -1, -1, -1).contiguous()
    core, packed = pack_network(NetworkCore(model).float(), example)
    pixels = (example.shape[2], example.shape[3])
    images = partial(calibration_images, config, model, pixels, batch)
    identity = identity_of(config)
    network = PackedNetwork(core, packed, example, model, identity, rest, images)
    layers = chosen.write(network, Path(out))
    checked = chosen.check(network, Path(out)) if verify else None
    if sample is not None:
        write_sample(sample, config, model, core, pixels)
    rows = checked["verified"] if checked else []
    return ExportFigures(
        out=str(out),
        format=form,
        rest=rest,
        input=list(example.shape),
        bytes=sum(file.stat().st_size for file in chosen.files(out)),
        latent_bytes=sum(v.numel() * 4 for v in model.state_dict().values()),
        checkpoint_bytes=Path(checkpoint).stat().st_size,
        packed=len(packed),
        layers=layers,
        **(checked or Checked(verified=[])),
        wrong=sum(row["wrong"] for row in rows) if checked else None,
    )


def _noise(bands: int, size: tuple[int, int]) -> torch.Tensor:
    """An image of noise: values of a constant one lie on thresholds by chance."""
    return torch.randn(1, bands, *size, generator=torch.Generator().manual_seed(0))


def _check_possible(form: str, rest: str, verify: bool) -> None:
    chosen = export_formats()[form]
    if rest not in chosen.rests:
        able = " and ".join(rests().get(rest, ["no"]))
        raise ConfigError(
            f"--rest {rest} is made for {able} files only, not for {chosen.suffix}"
        )
    require_packages(f"--rest {rest}", *chosen.rests[rest])
    require_packages(f"writing {chosen.suffix} files", *chosen.packages)
    chosen.require()
    if verify:
        require_packages(f"checking {chosen.suffix} files", *chosen.check_packages)


def _rests(figures: ExportFigures) -> Mapping[str, tuple[str, ...]]:
    return export_formats()[figures["format"]].rests


def format_export(figures: ExportFigures) -> str:
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
    if figures["packed"] and figures["rest"] == "float32" and len(_rests(figures)) > 1:
        lines.append(
            "the layers beside the binary ones are float32: --rest int8 makes the file "
            "smaller and faster, with other roundings (test it: its metric may change)"
        )
    counts = figures["bytes"], figures["latent_bytes"], figures["checkpoint_bytes"]
    size, latent, checkpoint = (count / 1e6 for count in counts)
    lines.append(
        f"{figures['out']}: {size:.2f} MB, weights as float32 {latent:.2f} MB "
        f"({latent / size:.1f} x), checkpoint {checkpoint:.2f} MB; "
        f"{figures['packed']} binary layers packed"
    )
    return "\n".join(lines)
