"""Larq Compute Engine itself: layers, operators and networks in its interpreter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fused_heads import FUSED_HEADS, SIZE, fused
from layer_cases import random_layer, with_offset
from network_cases import ADDITIONS, REAL_ACTIVATIONS, check_alike, disturb, images
from operation_cases import OPERATIONS
from test_exported_tasks import build, joint, pack, predict
from torch import nn

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.formats import export_formats
from cmim.deploy.formats.format import PackedNetwork
from cmim.deploy.layer_calls import layer_calls
from cmim.deploy.lce.exported_network import LceNetwork, load_tflite
from cmim.deploy.lce.worker_process import WorkerProcess, shared_worker
from cmim.deploy.packed_conv import pack_network
from cmim.deploy.raw_program import Program, Step, binary_step
from cmim.deploy.raw_trace import build_program
from cmim.deploy.seal import EMPTY, seal
from cmim.layers import BinaryUnit
from cmim.methods import available_methods

pytestmark = pytest.mark.slow
# Methods of binary weights alone have no binary layer in a file.
METHODS = [m for m in (*available_methods(), *ADDITIONS) if m not in REAL_ACTIVATIONS]


@pytest.fixture(scope="module")
def engine() -> WorkerProcess:
    try:
        return shared_worker()
    except ImportError as error:
        pytest.skip(f"no Larq Compute Engine here: {error}")


def written(engine, program: Program, folder: Path, batch: int = 1) -> LceNetwork:
    """The file of a program, opened."""
    program.save(folder / "network.npz")
    path = folder / "network.tflite"
    outputs = [f"out{k:03d}" for k in range(len(program.outputs))]
    engine.ask(
        "convert",
        program=str(folder / "network.npz"),
        out=str(path),
        batch=batch,
        outputs=outputs,
        notes={"cmim.sha256": EMPTY, "outputs": outputs},
    )
    seal(path)
    return LceNetwork(path, threads=1, worker=engine)


@pytest.mark.parametrize("seed", range(3))
def test_random_layers_are_exact(seed, engine, tmp_path):
    """Every kind of levels, offsets, strides, dilations up to 36, odd channels."""
    rng, steps, inputs = np.random.default_rng(seed), [], []
    for k in range(12):
        layer = random_layer(rng)
        layer = with_offset(rng, layer) if k % 4 == 0 else layer
        x = rng.standard_normal((1, layer.shape[1], *rng.integers(1, 26, 2)))
        inputs.append(x.astype(np.float32))
        steps.append(
            Step("constant", (), f"x{k}", x.shape[1:], arrays=dict(value=inputs[-1][0]))
        )
        size = [
            (n + 2 * p - d * (t - 1) - 1) // s + 1
            for n, p, d, t, s in zip(
                x.shape[2:], layer.padding, layer.dilation, layer.shape[2:],
                layer.stride, strict=True,
            )
        ]  # fmt: skip
        steps.append(binary_step(layer, f"x{k}", f"y{k}", (layer.shape[0], *size)))
    outputs = tuple(step.output for step in steps if step.op == "binary_conv")
    Program((3, 4, 4), tuple(steps), outputs).save(tmp_path / "layers.npz")
    found, _ = engine.ask("compare", inputs, program=str(tmp_path / "layers.npz"))
    assert len(found["rows"]) == 12
    assert not [row for row in found["rows"] if row["wrong"] or not row["values"]]
    assert max(row["scaled_difference"] for row in found["rows"]) < 1e-6


class Together(nn.Module):
    """Networks side by side, so that they are converted at once."""

    def __init__(self, networks: dict[str, nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(networks)

    def forward(self, x):
        found = [network(x) for network in self.networks.values()]
        return tuple(y[-1] if isinstance(y, tuple) else y for y in found)


@pytest.mark.parametrize("size", [(9, 11), (8, 12)])
@torch.no_grad()
def test_operations_are_those_of_torch(size, engine, tmp_path):
    """Its converter joins padding with convolutions, also where that is wrong."""
    torch.manual_seed(0)
    left_out = {"max_pool_dilated", *(["map"] if size != (9, 11) else [])}
    chosen = {n: m for n, m in OPERATIONS.items() if n not in left_out}
    for stride in (1, 2, 3):
        for pad in (1, 2, 3):
            conv = nn.Conv2d(3, 4, 2 * pad + 1, stride, pad)
            chosen[f"conv_{stride}_{pad}"] = conv
            around = nn.Sequential(nn.ZeroPad2d(pad), nn.Conv2d(3, 4, 3, stride))
            chosen[f"pad_{stride}_{pad}"] = around
    module, x = Together(chosen).eval(), images(2, *size)
    network = written(engine, build_program(module, x), tmp_path, batch=2)
    for name, ours, expected in zip(chosen, network(x), module(x), strict=True):
        np.testing.assert_allclose(
            ours, expected, rtol=1e-4, atol=1e-5, err_msg=f"{name} {size}"
        )


def units(method: str) -> nn.Module:
    """A stride of 2, and a kernel of 5 pixels."""
    torch.manual_seed(0)
    first = BinaryUnit(3, 8, 3, method, stride=2)
    return disturb(nn.Sequential(first, BinaryUnit(8, 12, 3, method, dilation=2)))


@torch.no_grad()
def test_every_method_is_exact(engine, tmp_path):
    x = images(1, 16, 20)
    core, names = pack_network(
        Together({name.replace("+", "_"): units(name) for name in METHODS}).eval(), x
    )
    assert len(names) == 2 * len(METHODS)
    network = written(engine, build_program(core, x), tmp_path)
    calls, expected = layer_calls(core, x)
    inputs = [given.numpy() for given, _ in calls.values()]
    found, _ = engine.ask("compare", inputs, program=str(tmp_path / "network.npz"))
    assert [row["layer"] for row in found["rows"]] == list(calls)
    assert not [row for row in found["rows"] if row["wrong"] or not row["values"]]
    assert max(row["scaled_difference"] for row in found["rows"]) < 1e-5
    for name, ours, other in zip(METHODS, network(x), expected, strict=True):
        off = (ours - other).abs() > 1e-3 * other.abs().max()
        assert off.float().mean() < 0.02, name


def write(config: dict, path: Path) -> tuple[nn.Module, PackedNetwork]:
    model = build(config)
    core, names, example = pack(model)
    network = PackedNetwork(core, names, example, model, {}, "float32", list)
    export_formats()["tflite"].write(network, path)
    return model, network


@torch.no_grad()
@pytest.mark.parametrize("tasks", [("seg",), ("depth",), ("normals", "depth", "seg")])
def test_networks_of_tasks_predict_alike(tasks, engine, tmp_path):
    config, path = joint(*tasks), tmp_path / "m.tflite"
    model, network = write(config, path)
    checked = export_formats()["tflite"].check(network, path)
    assert len(checked["verified"]) == len(network.packed) > 15
    assert not [row for row in checked["verified"] if row["wrong"]]
    exported = load_tflite(config, path, {})
    given = images(5, 32, 48)
    pairs = zip(exported(given).values(), model(given).values(), strict=True)
    for ours, expected in pairs:
        check_alike([ours.numpy()], [expected])
    samples = list(zip(predict(exported, given), predict(model, given), strict=True))
    if "normals" in tasks:
        off = [
            (a.pred_normal_map.data - b.pred_normal_map.data).abs() for a, b in samples
        ]
        assert (torch.stack(off) < 1e-3).float().mean() > 0.95
    if "seg" in tasks:
        same = [a.pred_sem_seg.data == b.pred_sem_seg.data for a, b in samples]
        assert torch.stack(same).float().mean() > 0.95
    other = joint("seg") if tasks != ("seg",) else joint("depth")
    with pytest.raises(ExportError, match="use the config it was exported with"):
        load_tflite(other, path, {})


@pytest.mark.parametrize("name", FUSED_HEADS)
@torch.no_grad()
def test_heads_that_resize_features_are_those_of_torch(name, engine, tmp_path):
    x = images(3, *SIZE)
    core, _ = pack_network(fused(name), x)
    network = written(engine, build_program(core, x), tmp_path, batch=3)
    (ours,) = network(x)
    check_alike([ours.numpy()], [core(x)])


@torch.no_grad()
def test_the_engine_resizes_by_its_own_operator(engine, tmp_path):
    x = images(1, *SIZE)
    program, path = tmp_path / "network.npz", tmp_path / "network.tflite"
    build_program(pack_network(fused("normals"), x)[0], x).save(program)
    given = dict(batch=1, outputs=["out"], notes={"cmim.sha256": EMPTY})
    found, _ = engine.ask("convert", program=str(program), out=str(path), **given)
    assert found["operators"]["RESIZE_BILINEAR"] == 1
    assert found["operators"]["SQRT"] + found["operators"].get("RSQRT", 0) == 1


def test_what_it_lacks_is_refused_and_the_process_stays(engine, tmp_path):
    module = nn.Sequential(OPERATIONS["max_pool_dilated"])
    with pytest.raises(ExportError, match=r"^0: Larq Compute Engine has no max_pool"):
        written(engine, build_program(module, images(1, 9, 11)), tmp_path)
    assert engine.alive
    assert shared_worker() is engine
