"""Each part of the doctor, on machines that are made up."""

from __future__ import annotations

import copy

import pytest

from cmim.cpu_flags import cpu_flags, cpu_name
from cmim.doctor.data import MADE_BY, examine_data, named_places
from cmim.doctor.machine import read_memory
from cmim.doctor.packages import (
    broken_packages,
    examine_packages,
    missing_extras,
    read_setup,
    requirements,
)
from cmim.doctor.processor import SETS, examine_processor
from cmim.doctor.sentences import broken_things, slow_things

HEALTHY = dict(
    cmim="0",
    python="3",
    platform="here",
    processor=dict(
        name="one",
        machine="x86_64",
        cores=2,
        sets=dict.fromkeys(SETS, True),
        limits={},
    ),
    engine=dict(
        version="1",
        kernels=["jit_avx512_u1"],
        said="binary convolutions run in AVX-512 with vector bit counts (jit_u1)",
        exact=True,
        error=None,
        binary_ms=1.0,
        float_ms=20.0,
    ),
    precision=dict(device="cpu", bfloat16=True, auto="bfloat16", time_ratio=0.6),
    packages={},
    machine=dict(
        torch_threads=2,
        memory_gb=20.0,
        free_memory_gb=10.0,
        free_disk_gb=9.0,
        gpus=["one"],
    ),
    data={},
    slow=[],
    broken=[],
)


def changed(part: str, **values) -> dict:
    found = copy.deepcopy(HEALTHY)
    found[part].update(values)
    return found


@pytest.fixture
def no_warning(monkeypatch):
    """As on a CPU with bfloat16, wherever the tests run."""
    monkeypatch.setattr("cmim.engine.precision.has_bfloat16", lambda device: True)


def test_flags_and_name_are_read_from_the_systems_list(tmp_path):
    file = tmp_path / "cpuinfo"
    assert cpu_flags(file) is None
    file.write_text("model name : A B\nflags\t\t: fpu avx2\nflags : other\n")
    assert cpu_flags(file) == {"fpu", "avx2"}
    assert cpu_name(file) == "A B"
    file.write_text("Features : asimd i8mm\n")
    assert cpu_flags(file) == {"asimd", "i8mm"}
    assert cpu_name(file) == ""


def test_one_of_several_flags_is_enough_and_limits_are_named():
    found = examine_processor(frozenset({"avx_vnni", "avx2"}), {"A": "1"})
    has = [name for name, value in found["sets"].items() if value]
    assert has == ["AVX2", "8-bit products (VNNI)"]
    assert found["limits"] == {}
    assert found["cores"] >= 1


def test_a_containers_limit_counts(tmp_path):
    table = tmp_path / "meminfo"
    assert read_memory(table, tmp_path) == (None, None)
    table.write_text("MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    assert read_memory(table, tmp_path) == (16.4, 8.2)
    (tmp_path / "memory.max").write_text("max\n")
    assert read_memory(table, tmp_path) == (16.4, 8.2)
    (tmp_path / "memory.max").write_text("4000000000\n")
    (tmp_path / "memory.current").write_text("3000000000\n")
    assert read_memory(table, tmp_path) == (4.0, 1.0)


def test_requirements_are_the_projects():
    wanted = requirements()
    assert wanted["torch>=2.10"] == ""
    assert wanted["timm>=1.0.12"] == "encoders"
    assert not {"dev", "all"} & set(wanted.values())


def test_a_checkout_that_is_not_installed_has_its_setup_file(tmp_path):
    setup = tmp_path / "setup.cfg"
    assert read_setup(setup) == {}
    setup.write_text(
        "[options]\ninstall_requires =\n    # why\n    a>=1\n"
        "[options.extras_require]\nserve =\n    b>=2\ndev =\n    c\n"
        "all =\n    %(serve)s\n"
    )
    assert read_setup(setup) == {"a>=1": "", "b>=2": "serve"}


def test_what_is_wrong_with_packages_is_said(tmp_path, monkeypatch):
    (tmp_path / "brittle.py").write_text("raise ImportError('its library is gone')")
    folder = tmp_path / "brittle-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: brittle\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = examine_packages(
        {"tqdm>=1": "", "tqdm-of-nobody": "", "brittle>=1": "serve"}
    )
    assert found["tqdm"]["error"] is None
    assert found["tqdm"]["version"]
    said = broken_packages(found)
    assert said[0].startswith("tqdm-of-nobody is needed and not installed: pip install")
    assert said[1].startswith("brittle 1.0 is installed and cannot be imported")
    assert "its library is gone" in said[1]
    old = examine_packages({"tqdm>=999": ""})["tqdm"]["error"]
    assert ">=999 is needed: pip install 'tqdm>=999'" in old
    assert missing_extras(found) == {}
    absent = examine_packages({"nobodys-onnx": "deploy", "tqdm": "deploy"})
    assert missing_extras(absent) == {
        "deploy": "nobodys-onnx: pip install 'cmim[deploy]', or pip install "
        "nobodys-onnx"
    }
    assert broken_packages(absent) == [], "an extra is not needed"


def test_data_are_looked_for_where_configs_name_them(tmp_path):
    assert set(MADE_BY) <= set(named_places())
    frames = tmp_path / "data" / "nyuv2"
    frames.mkdir(parents=True)
    (frames / "train.txt").write_text("00001\n00002\n")
    (frames / "test.txt").write_text("00003\n")
    (tmp_path / "data" / "rooms").mkdir()
    (tmp_path / "data" / "rooms" / "INCOMPLETE").touch()
    found = examine_data(tmp_path)
    assert found["data/nyuv2"] == dict(found=True, said="2 to train, 1 to test")
    assert not found["data/rooms"]["found"]
    assert "once more" in found["data/rooms"]["said"]
    assert "tools/prepare_cifar10.py" in found["data/cifar10"]["said"]


@pytest.mark.usefixtures("no_warning")
def test_a_healthy_machine_gets_no_sentence():
    assert slow_things(HEALTHY) == broken_things(HEALTHY) == []


@pytest.mark.usefixtures("no_warning")
@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("processor", dict(limits={"A_LIMIT": "AVX2"}), "takes AVX-512 all the same"),
        ("engine", dict(version=None), "only simulated"),
        ("engine", dict(said="binary convolutions run in AVX2"), "run in AVX2"),
        ("precision", dict(time_ratio=1.1), "takes 1.10 x the time of float32"),
        ("machine", dict(gpus=[]), "there is no GPU"),
        ("machine", dict(torch_threads=1), "1 of 2 cores"),
        ("machine", dict(free_memory_gb=2.0), "2.0 GB of memory are free"),
        ("processor", dict(cores=1), "one core"),
    ],
)
def test_what_is_slow_is_said(part, values, said):
    (sentence,) = slow_things(changed(part, **values))
    assert said in sentence


def test_bfloat16_without_instructions_is_said(monkeypatch):
    monkeypatch.setattr("cmim.engine.precision.has_bfloat16", lambda device: False)
    (sentence,) = slow_things(changed("precision", bfloat16=False, auto="float32"))
    assert "four times as long" in sentence


def test_eight_bits_without_their_instructions_are_said(no_warning):
    found = copy.deepcopy(HEALTHY)
    found["processor"]["sets"]["8-bit products (VNNI)"] = False
    found["packages"]["nncf"] = dict(extra="int8", version=None, wanted="", error=None)
    first, second = slow_things(found)
    assert "VNNI" in first
    assert "--rest int8" in second


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (dict(exact=False), "not exact"),
        (dict(error="no such operator"), "no such operator"),
    ],
)
def test_an_engine_that_is_wrong_is_broken(values, said):
    (sentence,) = broken_things(changed("engine", **values))
    assert said in sentence
