"""Exported files that are not as they were written are refused."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("openvino")

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import torch

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.exported_model import Engine
from cmim.deploy.formats import export_formats
from cmim.deploy.formats.format import Checked, Format
from cmim.deploy.openvino_export import save_model
from cmim.deploy.seal import EMPTY, check_seal, seal


def model(seed: int = 0) -> ov.Model:
    x = ops.parameter([1, 3, 2, 2], np.float32, name="image")
    weights = np.random.default_rng(seed).normal(size=(1, 3, 1, 1))
    product = ops.multiply(x, ops.constant(weights.astype(np.float32)))
    made = ov.Model([ops.result(product)], [x])
    made.set_rt_info("123.675 116.28 103.53", ["cmim", "mean"])
    return made


@pytest.fixture
def path(tmp_path) -> Path:
    save_model(model(), tmp_path / "seg.xml")
    return tmp_path / "seg.xml"


def refused(path: Path) -> str:
    with pytest.raises(ExportError) as error:
        Engine(path, threads=1)
    assert str(error.value).startswith(str(path))
    return str(error.value)


def test_whole_files_run_and_keep_what_they_say(path, tmp_path):
    engine = Engine(path, threads=1)
    assert engine(torch.ones(1, 3, 2, 2))[0].shape == (1, 3, 2, 2)
    found = ov.Core().read_model(path).get_rt_info(["cmim", "sha256"]).value
    assert len(found) == 64
    assert set(found) != {"0"}
    # Wherever both lie, and under any name.
    shutil.copy(path, tmp_path / "other.xml")
    shutil.copy(path.with_suffix(".bin"), tmp_path / "other.bin")
    check_seal(tmp_path / "other.xml")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "other.bin", "other.xml", "seg.bin", "seg.xml",
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", [".bin", ".xml"])
def test_any_flipped_bit_is_seen(path, suffix):
    target = path.with_suffix(suffix)
    whole, chance = target.read_bytes(), random.Random(0)
    places = [chance.randrange(len(whole)) for _ in range(40)]
    for at in places:
        data = bytearray(whole)
        data[at] ^= 1 << chance.randrange(8)
        target.write_bytes(data)
        refused(path)
    target.write_bytes(whole)
    check_seal(path)


def test_a_changed_normalisation_is_seen(path):
    text = path.read_text()
    assert "123.675" in text
    path.write_text(text.replace("123.675", "103.675"))
    assert "are not as they were exported" in refused(path)


def test_weights_of_another_export_are_seen(path, tmp_path):
    save_model(model(seed=1), tmp_path / "other.xml")
    shutil.copy(tmp_path / "other.bin", path.with_suffix(".bin"))
    assert "of another export" in refused(path)


@pytest.mark.parametrize("cut", [0, 4, -1])
def test_weights_cut_short_are_seen(path, cut):
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:cut])
    assert "are not as they were exported" in refused(path)


def test_missing_weights_are_named(path):
    path.with_suffix(".bin").unlink()
    assert "lacks seg.bin" in refused(path)


def test_files_without_a_digest_are_refused(tmp_path):
    ov.save_model(model(), tmp_path / "bare.xml")
    said = refused(tmp_path / "bare.xml")
    assert "export it again" in said
    assert "tools/export.py CONFIG CHECKPOINT --out bare.xml" in said


def test_a_format_of_a_users_own_is_sealed_by_what_it_says(tmp_path, monkeypatch):
    own = Format(
        suffix=".own",
        about="",
        checks="",
        write=lambda *_: [],
        check=lambda *_: Checked(verified=[]),
        seal=re.compile(rb"(?<=digest: )[0-9a-f]{64}"),
        beside=(".weights",),
    )
    monkeypatch.setitem(export_formats(), "own", own)
    path, weights = tmp_path / "seg.own", tmp_path / "seg.weights"
    path.write_text(f"digest: {EMPTY}\n")
    weights.write_bytes(b"12")
    seal(path)
    check_seal(path)
    weights.write_bytes(b"13")
    with pytest.raises(ExportError, match=r"seg.own and seg.weights are not as they"):
        check_seal(path)
    with pytest.raises(ExportError, match=r"seg.npz carry no digest of this kind"):
        check_seal(shutil.copy(path, tmp_path / "seg.npz"))
