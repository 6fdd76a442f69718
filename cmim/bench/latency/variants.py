"""The ways to execute one network that ``bench.py latency`` compares."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openvino as ov
import torch
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.bench.latency.engines import Run, prepare_file
from cmim.checkpoint import load_task_weights
from cmim.deploy.network_core import NetworkCore
from cmim.deploy.openvino_export import convert_packed, describe, save_model
from cmim.deploy.packed_conv import pack_network
from cmim.deploy.quantize import quantize_rest
from cmim.deploy.shared_core import FLOAT32
from cmim.identity import check_identity
from cmim.models import full_precision_twin
from cmim.optional_packages import is_installed


@dataclass
class Variant:
    """One way to execute the network.

    Attributes:
        name: Key in the figures.
        label: For people.
        megabytes: Size of the file, or of the weights where there is no file.
        path: The exported file, for the variants of engines.
        options: Options of OpenVINO.
        module: The torch module, for torch's variants.
        note: Why it was not measured.
        network: Which network it executes: ``one_bit``, ``twin`` or a rival's name.
    """

    name: str
    label: str
    megabytes: float = 0.0
    path: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    module: nn.Module | None = None
    note: str | None = None
    network: str = "twin"

    def prepare(self, threads: int, example: Tensor) -> Run:
        """A call that runs it once; it is warmed up."""
        if self.module is not None:
            return self._prepare_torch(example)
        assert self.path is not None
        return prepare_file(self.path, self.options, threads, example)

    def _prepare_torch(self, example: Tensor) -> Run:
        module = self.module
        assert module is not None
        if self.name == "torch_compile":
            torch._dynamo.reset()  # threads are part of the generated code
            module = torch.compile(module)  # type: ignore[assignment]

        def run() -> None:
            with torch.inference_mode():
                module(example)

        run()
        return run


NO_NNCF = "8-bit variants need nncf: pip install 'cmim[int8]'"
BFLOAT16 = {"INFERENCE_PRECISION_HINT": "bf16"}


def build_networks(
    model_config: dict,
    checkpoint: str | None,
    twin_checkpoint: str | None,
    identity: dict[str, Any],
) -> tuple[BaseModel, BaseModel]:
    """The binary task model and its full-precision twin, for inference.

    Args:
        model_config: Config of the binary task model.
        checkpoint: Its weights; random ones when None.
        twin_checkpoint: The twin's.
        identity: :func:`cmim.identity.identity_of` the config; both must be of it.
    """
    twin = full_precision_twin(model_config)
    return (
        build_network(model_config, checkpoint, identity),
        build_network(twin, twin_checkpoint, identity),
    )


def build_network(
    model_config: dict, checkpoint: str | None, identity: dict[str, Any]
) -> BaseModel:
    """A task model for inference, of a checkpoint or with random weights.

    Without weights, batch-norms are random too: the engine would leave out ones that
    change nothing, which no trained network has.
    """
    model = MODELS.build(model_config)
    if checkpoint:
        saved = load_task_weights(model, checkpoint).get("identity")
        check_identity(identity, saved, checkpoint)
    else:
        _draw_batch_norms(model)
    return model.eval().requires_grad_(False)


def _draw_batch_norms(model: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 2.0),
                (module.weight, 0.5, 1.5),
                (module.bias, -0.2, 0.2),
            ):
                # Some have neither scale nor shift.
                if tensor is not None:
                    tensor.data.uniform_(low, high, generator=generator)


def make_variants(
    binary: BaseModel,
    twin: BaseModel,
    images: Iterable[Tensor] | None,
    example: Tensor,
    out: Path,
    identity: dict[str, Any],
) -> list[Variant]:
    """All variants; exported networks are written to ``out``.

    Args:
        binary: The binary task model.
        twin: The full-precision one.
        images: Calibration images of the 8-bit variants, which are left out when None.
        example: An input ``(N, 3, H, W)``.
        out: Folder of the exported files.
        identity: The identity of both networks, which the files state.
    """
    simulated, real = (NetworkCore(m).float() for m in (binary, twin))
    packed, _ = pack_network(simulated, example)
    with torch.no_grad():
        packed(example)
    one_bit = convert_packed(packed, example)
    # Conversion patches the module.
    full = convert_packed(copy.deepcopy(real), example)
    size = _weights(real)
    variants = [
        Variant("torch_fp32", "torch, float32 twin", size, module=real),
        Variant(
            "torch_simulation",
            "torch, binary simulated in float32",
            _weights(simulated),
            module=simulated,
            network="one_bit",
        ),
        Variant("torch_compile", "torch.compile, float32 twin", size, module=real),
    ]
    for name, label in (
        ("openvino_fp32", "OpenVINO, float32 twin"),
        ("openvino_bf16", "OpenVINO, bfloat16 twin"),
    ):
        variants.append(save_variant(name, label, full, twin, out, identity))
    variants[-1].options = BFLOAT16
    data = list(images) if images is not None and is_installed("nncf") else None
    note = None if data else NO_NNCF
    int8 = quantize_rest(full, data, everything=True) if data else full
    rest = quantize_rest(one_bit, data) if data else one_bit
    for name, label, network, model in (
        ("openvino_int8", "OpenVINO, 8-bit twin", int8, twin),
        ("one_bit", "OpenVINO, 1-bit", one_bit, binary),
        ("one_bit_int8", "OpenVINO, 1-bit, rest 8-bit", rest, binary),
    ):
        variant = save_variant(name, label, network, model, out, identity)
        variant.note = note if "int8" in name else None
        variant.network = "one_bit" if model is binary else "twin"
        variants.append(variant)
    return variants


def save_variant(
    name: str,
    label: str,
    network: ov.Model,
    model: BaseModel,
    out: Path,
    identity: dict[str, Any],
) -> Variant:
    """A variant of a network that OpenVINO runs, written to ``out``."""
    path = out / f"{name}.xml"
    describe(network, model, identity)
    save_model(network, path)
    size = sum(path.with_suffix(s).stat().st_size for s in (".xml", ".bin"))
    return Variant(name, label, size / 1e6, path=str(path), options=dict(FLOAT32))


def _weights(module: nn.Module) -> float:
    return sum(v.numel() * 4 for v in module.state_dict().values()) / 1e6
