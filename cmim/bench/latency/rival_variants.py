"""The ways to execute a rival: float32 and 8 bits, in OpenVINO and in ONNX Runtime."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from cmim.bench.latency.rivals import Rival
from cmim.bench.latency.variants import (
    NO_NNCF,
    Variant,
    build_network,
    save_variant,
)
from cmim.convert.converted import ConvertedLayer
from cmim.deploy.network_core import NetworkCore
from cmim.deploy.onnx_export import save_onnx
from cmim.deploy.onnx_quantize import quantize_onnx
from cmim.deploy.openvino_export import convert_packed
from cmim.deploy.quantize import quantize_rest
from cmim.engine.config import ConfigError
from cmim.layers.binary_weights import BinaryWeightLayer
from cmim.optional_packages import how_to_install, is_installed

RUNTIME = ("onnxruntime", "onnx", "onnxscript")


def make_rival_variants(
    rival: Rival, images: Sequence[Tensor] | None, example: Tensor, out: Path
) -> list[Variant]:
    """All variants of a rival; exported networks are written to ``out``.

    Args:
        rival: The network.
        images: Calibration images of its 8-bit variants, which are left out when None.
        example: An input ``(N, C, H, W)``.
        out: Folder of the exported files.

    Raises:
        ConfigError: It is a binary network.
    """
    model = build_network(rival.model, rival.checkpoint, rival.identity)
    core = NetworkCore(model).float()
    if any(isinstance(m, (BinaryWeightLayer, ConvertedLayer)) for m in core.modules()):
        raise ConfigError(
            f"the rival '{rival.name}' is a binary network, and rivals are networks of "
            "full precision: name its twin, or run 'bench.py latency' on its config"
        )
    # Conversion patches the module.
    full = convert_packed(copy.deepcopy(core), example)
    able = images is not None and is_installed("nncf")
    int8 = quantize_rest(full, images or (), everything=True) if able else full
    found = []
    for bits, network in (("fp32", full), ("int8", int8)):
        name, label = f"{rival.name}_openvino_{bits}", f"{rival.name}, OpenVINO"
        variant = save_variant(
            name, f"{label} {_said(bits)}", network, model, out, rival.identity
        )
        variant.note = NO_NNCF if bits == "int8" and not able else None
        found.append(variant)
    found += _in_onnx_runtime(rival, core, images, example, out)
    for variant in found:
        variant.network = rival.name
    return found


def _in_onnx_runtime(
    rival: Rival,
    core: NetworkCore,
    images: Sequence[Tensor] | None,
    example: Tensor,
    out: Path,
) -> list[Variant]:
    missing = [name for name in RUNTIME if not is_installed(name)]
    found = []
    for bits in ("fp32", "int8"):
        name, label = f"{rival.name}_ort_{bits}", f"{rival.name}, ONNX Runtime"
        path = out / f"{name}.onnx"
        variant = Variant(name, f"{label} {_said(bits)}", path=str(path))
        found.append(variant)
        if missing:
            variant.note = f"needs {', '.join(missing)}: {how_to_install(*missing)}"
        elif bits == "fp32":
            save_onnx(core, example, path, identity=rival.identity)
        elif images is None:
            variant.note = "not asked for: there are no calibration images"
        else:
            quantize_onnx(out / f"{rival.name}_ort_fp32.onnx", path, images)
        if variant.note is None:
            variant.megabytes = path.stat().st_size / 1e6
    return found


def _said(bits: str) -> str:
    return "float32" if bits == "fp32" else "8-bit"
