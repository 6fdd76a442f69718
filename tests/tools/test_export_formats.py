"""tools/export.py: raw programs and ONNX from a checkpoint, and misuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from in_process import run_in_process
from mmseg.registry import MODELS

from cmim.deploy.numpy_reference import load_network
from cmim.engine.config import ConfigError, load_config, task_model_config
from cmim.export.network import choose_format, export_network, format_export

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "configs/rooms_seg_bireal.py"
TINY = {
    "model.model.backbone.base_channels": 4,
    "model.model.decode_head.in_channels": 32,
    "model.model.decode_head.channels": 8,
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """Of a network as it starts."""
    torch.manual_seed(0)
    model = MODELS.build(task_model_config(tiny_config()))
    model.init_weights()
    path = tmp_path_factory.mktemp("run") / "last.pth"
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


def tiny_config():
    return load_config(ROOT / CONFIG, TINY)


@pytest.mark.full
def test_a_checkpoint_becomes_a_raw_network_that_is_checked(checkpoint, tmp_path):
    out, figures = tmp_path / "new" / "seg.npz", tmp_path / "figures.json"
    done = run_in_process(
        *("export", CONFIG, checkpoint, "--out", out, "--size", 64, 96, "--verify"),
        *("--json", figures, "--cfg-options"),
        *(f"{name}={value}" for name, value in TINY.items()),
    )
    assert done.returncode == 0, done.stderr
    assert "0 wrong" in done.stdout
    assert "of the places alike" in done.stdout
    assert "binary layers packed" in done.stdout.splitlines()[-1]
    found = json.loads(figures.read_text())
    assert found["wrong"] == 0
    assert found["format"] == "npz"
    assert found["packed"] == len(found["verified"]) > 10
    assert found["difference"] < 1e-3 * found["largest"]
    assert found["bytes"] == out.stat().st_size < found["latent_bytes"]
    network = load_network(out)
    assert network.input_shape == (3, 64, 96)
    photo = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    ours = network.run(network.normalise(photo))
    model = MODELS.build(task_model_config(tiny_config())).eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["state_dict"])
    image = torch.from_numpy(photo).permute(2, 0, 1)
    with torch.no_grad():
        inputs = model.data_preprocessor(dict(inputs=[image]), False)["inputs"]
        expected = model.decode_head(model.backbone(inputs)).numpy()
    off = np.abs(ours - expected) > 1e-3 * np.abs(expected).max()
    assert off.mean() < 0.02


@pytest.mark.full
def test_onnx_is_compared_with_torch(checkpoint, tmp_path):
    for package in ("openvino", "onnx", "onnxscript"):
        pytest.importorskip(package)
    out = tmp_path / "seg.onnx"
    found = export_network(
        tiny_config(), str(checkpoint), out, size=(32, 48), batch=2, verify=True
    )
    assert found["input"] == [2, 3, 32, 48]
    assert found["same_class"] > 0.98
    assert "of the places alike" in format_export(found)
    assert found["bytes"] == out.stat().st_size


@pytest.mark.parametrize(
    ("out", "name", "expected"),
    [
        ("a.npz", None, "npz"),
        ("a.b/c.onnx", None, "onnx"),
        ("a.xml", "openvino", "openvino"),
        ("a.tflite", None, "tflite"),
    ],
)
def test_the_ending_says_the_format(out, name, expected):
    assert choose_format(out, name) == expected


@pytest.mark.parametrize(
    ("out", "name", "message"),
    [
        ("a.pth", None, r"--out a\.pth: name .* with \.npz or \.onnx or \.xml"),
        ("a.xml", "npz", r"--out a\.xml is no --format npz: name .* with \.npz$"),
        ("a", "onnx", r"--out a is no --format onnx: name .* with \.onnx$"),
    ],
)
def test_contradictions_are_refused(out, name, message):
    with pytest.raises(ConfigError, match=message):
        choose_format(out, name)


@pytest.mark.parametrize("out", ["a.npz", "a.onnx"])
def test_eight_bits_are_for_openvino(out):
    with pytest.raises(ConfigError, match=r"--rest int8 is made for \.xml files only"):
        export_network(tiny_config(), "absent.pth", out, size=(32, 32), rest="int8")


@pytest.mark.full
def test_int8_reads_images_for_its_ranges(tmp_path, monkeypatch):
    for package in ("openvino", "nncf"):
        pytest.importorskip(package)
    asked = []

    def images(config, model, size, batch):
        asked.append((size, batch))
        generator = torch.Generator().manual_seed(0)
        return [torch.randn(batch, 3, *size, generator=generator) for _ in range(2)]

    monkeypatch.setattr("cmim.export.network.calibration_images", images)
    # Not TINY: the engine pads 4 channels to 8, and refuses to pad 8-bit values so.
    wide = dict(zip(TINY, (8, 64, 8), strict=True))
    config, checkpoint = load_config(ROOT / CONFIG, wide), tmp_path / "last.pth"
    model = MODELS.build(task_model_config(config))
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    for rest in ("float32", "int8"):
        out = tmp_path / f"{rest}.xml"
        found = export_network(config, str(checkpoint), out, size=(32, 48), rest=rest)
        assert ("--rest int8 makes" in format_export(found)) == (rest == "float32")
        assert ('levels="256"' in out.read_text()) == (rest == "int8")
    assert asked == [((32, 48), 1)]
