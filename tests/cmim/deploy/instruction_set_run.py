"""Layers and networks in the engine, run as a process with fewer CPU instructions.

``python instruction_set_run.py FOLDER`` under ``ONEDNN_MAX_CPU_ISA`` writes
``FOLDER/found.json``: layers that are not exact, what each exported network differs by,
and the kernels that ran.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from layer_cases import DILATIONS, LEVELS, integer_convolution, random_layer
from mmseg.models import EncoderDecoder, SegDataPreProcessor
from mmseg.registry import MODELS
from network_cases import disturb

import tasks.depth
import tasks.segmentation  # noqa: F401
from cmim.deploy.cpu_kernels import binary_kernels
from cmim.deploy.exported_model import Engine
from cmim.deploy.network_core import NetworkCore
from cmim.deploy.openvino_export import convert_packed, describe, save_model
from cmim.deploy.packed_conv import pack_network
from cmim.deploy.verify import compile_layer, verify_layers

SIZE = 40, 48
WIDE = dict(in_channels=64, channels=8, dilations=(1, 3, 4, 12))
HEADS = {
    "DeepLabHead": dict(num_classes=5, **WIDE),
    "DepthHead": dict(WIDE, method="bireal", binary_projection=True),
}


def wrong_layers() -> list[str]:
    """Every kernel, stride, dilation and kind of level against integers."""
    found = []
    for kernel in (1, 3, 5):
        for dilation in DILATIONS:
            for stride in (1, 2):
                rng = np.random.default_rng(dilation)
                levels = list(LEVELS)[(dilation + stride + kernel) % len(LEVELS)]
                layer = random_layer(
                    rng, o=9, i=17, k=kernel, d=dilation, s=stride, levels=levels
                )
                x = rng.standard_normal((1, 17, 11, 26)).astype(np.float32)
                ours = compile_layer(layer, x.shape)(x)[0]
                if not np.array_equal(ours, integer_convolution(layer, x)):
                    found.append(f"kernel {kernel}, {dilation=}, {stride=}, {levels}")
    return found


@torch.no_grad()
def network(kind: str, options: dict, folder: Path) -> dict:
    """An exported network, read from its file again: its layers and its output."""
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type=EncoderDecoder,
            data_preprocessor=dict(
                type=SegDataPreProcessor, mean=[127.0] * 3, std=[60.0] * 3
            ),
            backbone=dict(type="BinaryResNet", method="bireal", base_channels=8),
            decode_head=dict(type=kind, **options),
            test_cfg=dict(mode="whole"),
        )
    )
    example = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    core, names = pack_network(NetworkCore(disturb(model.eval())), example)
    expected = core(example)
    rows = verify_layers(core, example)
    converted = convert_packed(core, example)
    describe(converted, model)
    path = folder / f"{kind}.xml"
    save_model(converted, path)
    engine = Engine(path, threads=1)
    off = (engine(example)[0] - expected).abs() > 1e-3 * expected.abs().max()
    return dict(
        layers=len(names),
        wrong=sum(row["wrong"] for row in rows),
        share_off=off.float().mean().item(),
        kernels=binary_kernels(engine._compiled),
    )


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    networks = {kind: network(kind, options, folder) for kind, options in HEADS.items()}
    found = dict(wrong_layers=wrong_layers(), networks=networks)
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
