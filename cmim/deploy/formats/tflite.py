"""Larq Compute Engine, which multiplies bits on ARM: Raspberry Pi, Android, iOS."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cmim.deploy.formats.format import (
    Checked,
    EngineCheckedLayer,
    Format,
    PackedNetwork,
    WrittenLayer,
)

if TYPE_CHECKING:
    from mmengine.model import BaseModel


def write_tflite(network: PackedNetwork, path: Path) -> list[WrittenLayer]:
    """Write the file, by way of a raw program; its layers have weights."""
    from cmim.deploy.lce.exported_network import LceNetwork
    from cmim.deploy.lce.worker_process import shared_worker
    from cmim.deploy.network_core import OUTPUT
    from cmim.deploy.seal import EMPTY, KEY, seal
    from cmim.identity import check_identity
    from cmim.task_model import describe
    from cmim.whole_output import whole_output

    worker, found = shared_worker(), describe(network.model)
    tasks = [OUTPUT + task for task in found.heads] if found.joint else [OUTPUT]
    notes = {f"cmim.{KEY}": EMPTY, "identity": network.identity, "outputs": tasks}
    with tempfile.TemporaryDirectory() as folder, whole_output(path) as place:
        program = _raw_program(network, Path(folder))
        written, _ = worker.ask(
            "convert",
            program=str(program),
            out=str(place.resolve()),
            batch=len(network.example),
            outputs=[name.rstrip(".") for name in tasks],
            notes=notes | found.normalisation,
        )
        seal(place)
        check_identity(network.identity, LceNetwork(place).identity, path)
    return cast(list[WrittenLayer], written["layers"])


def _raw_program(network: PackedNetwork, folder: Path) -> Path:
    """The network as a raw file, which is all that the other process reads."""
    from cmim.deploy.raw_trace import build_program

    program = build_program(network.core, network.example)
    replace(program, identity=network.identity).save(folder / "network.npz")
    return folder / "network.npz"


def check_in_lce(network: PackedNetwork, path: Path) -> Checked:
    """Binary layers with integers in the engine, from equal inputs; the output."""
    from cmim.deploy.compare_outputs import compare_outputs
    from cmim.deploy.formats.npz import compare_layers
    from cmim.deploy.layer_calls import layer_calls
    from cmim.deploy.lce.exported_network import LceNetwork
    from cmim.deploy.lce.worker_process import shared_worker
    from cmim.deploy.numpy_reference import load_network

    core, image = network.core, network.example[:1]
    with tempfile.TemporaryDirectory() as folder:
        program = _raw_program(network, Path(folder))
        in_numpy, _ = compare_layers(load_network(program), core, image)
        calls, _ = layer_calls(core, image)
        inputs = [calls[row["layer"]][0].numpy() for row in in_numpy]
        found, _ = shared_worker().ask("compare", inputs, program=str(program))
    rows = cast(list[EngineCheckedLayer], found["rows"])
    # The engine is compared with the raw program, and that with torch.
    for row, other in zip(rows, in_numpy, strict=True):
        row["wrong"] += other["wrong"]
    _, expected = layer_calls(core, network.example)
    ours = LceNetwork(path).run(network.example.numpy())
    return Checked(verified=rows, **compare_outputs(ours, expected))


def read_tflite(model_config: dict, path: str, identity: dict[str, Any]) -> BaseModel:
    """A task model that the engine runs, see :func:`load_tflite`."""
    from cmim.deploy.lce.exported_network import load_tflite

    return load_tflite(model_config, path, identity)


def _require_engine() -> None:
    from cmim.deploy.lce.environment import lce_python

    lce_python()


FORMAT = Format(
    suffix=".tflite",
    seal=re.compile(rb'(?<="cmim\.sha256": ")[0-9a-f]{64}'),
    about="for Larq Compute Engine, which runs it with one bit an activation on ARM "
    "(Raspberry Pi, Android, iOS); tools/test.py and tools/predict.py take it, slowly",
    checks="binary layers with integers and the output with torch's, in that engine",
    require=_require_engine,
    write=write_tflite,
    check=check_in_lce,
    read=read_tflite,
)
