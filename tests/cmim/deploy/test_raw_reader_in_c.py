"""examples/raw_reader, compiled with sanitizers: the numbers of the NumPy reader."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from network_cases import check_alike, images, make
from operation_cases import OPERATIONS
from test_raw_program import with_head
from torch import nn

from cmim.deploy.numpy_reference import PROGRAM, load_network
from cmim.deploy.packed_conv import pack_network
from cmim.deploy.raw_program import Program
from cmim.deploy.raw_trace import build_program
from cmim.layers import BinaryUnit
from cmim.layers.conv import Unscaled

SOURCES = Path(__file__).resolve().parents[3] / "examples" / "raw_reader"
FLAGS = ("-std=c99", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")

pytestmark = [
    pytest.mark.full,  # Compiles, and runs processes.
    pytest.mark.skipif(COMPILER is None, reason="there is no compiler of C here"),
]


@pytest.fixture(scope="session")
def reader(tmp_path_factory) -> Path:
    """The program, which ends with a report at any access beside its memory."""
    program = tmp_path_factory.mktemp("reader") / "raw_reader"
    words = [COMPILER, *FLAGS, *SANITIZERS, *sorted(SOURCES.glob("*.c"))]
    done = subprocess.run(
        [*words, "-lm", "-o", program], capture_output=True, text=True
    )
    if done.returncode and "sanitize" in done.stderr + done.stdout:
        pytest.skip("the compiler has no sanitizers")
    assert done.returncode == 0, done.stderr
    return program


def run(reader: Path, *words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [reader, *words], capture_output=True, text=True, errors="replace", timeout=120
    )


def photo(shape: tuple[int, ...]) -> np.ndarray:
    size = (*shape[1:], shape[0])
    return np.random.default_rng(3).integers(0, 256, size, np.uint8)


def run_both(reader: Path, program: Program, folder: Path):
    """Outputs of the program in C and those of the reader in NumPy."""
    program.save(folder / "net.npz")
    network = load_network(folder / "net.npz")
    image = photo(network.input_shape)
    found = network.run(network.normalise(image))
    expected = found if isinstance(found, tuple) else (found,)
    named = {f"output_{k}": output for k, output in enumerate(expected)}
    np.savez(folder / "sample.npz", image=image, **named)
    words = (folder / "net.npz", folder / "sample.npz", folder / "out")
    done = run(reader, *words)
    assert done.returncode == 0, done.stderr
    ours = [np.load(folder / f"out{k}.npy") for k in range(len(expected))]
    return ours, expected, done.stdout


SCALE = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 62.0, 64.0])


@pytest.mark.parametrize("name", OPERATIONS)
@torch.no_grad()
def test_an_operation_is_that_of_numpy(name, reader, tmp_path):
    torch.manual_seed(0)
    program = build_program(OPERATIONS[name].eval(), images(1, 9, 11), SCALE)
    ours, expected, said = run_both(reader, program, tmp_path)
    for a, b in zip(ours, expected, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert "against output_0: largest difference " in said


@pytest.mark.parametrize(
    "method", ["bireal", "reactnet", "abc_net", "adabin", "dorefa", "rbnn", "xnor_net"]
)
@torch.no_grad()
def test_a_binary_layer_is_equal(method, reader, tmp_path):
    """Its sums are integers, and its scales come last, so that no digit differs."""
    torch.manual_seed(0)
    unit = BinaryUnit(3, 13, 3, method, stride=2, dilation=2).eval()
    unit.bn, unit.nonlinearity = nn.Identity(), nn.Identity()
    unit.scale = Unscaled()
    program = build_program(pack_network(unit, images(1, 9, 11))[0], images(1, 9, 11))
    assert [step.op for step in program.steps] == ["binary_conv"]
    # Around the thresholds, of which 0 is most methods'.
    scale = dict(mean=[128.0] * 3, std=[64.0] * 3)
    program = Program(program.input_shape, program.steps, program.outputs, scale)
    ours, expected, _ = run_both(reader, program, tmp_path)
    np.testing.assert_array_equal(ours[0], expected[0])


@torch.no_grad()
def test_an_encoder_with_several_outputs(reader, tmp_path):
    core, _ = pack_network(make("resnet18", "reactnet"), images(1, 32, 40))
    program = build_program(core, images(1, 32, 40), SCALE)
    ours, expected, _ = run_both(reader, program, tmp_path)
    assert len(ours) > 1
    check_alike(ours, [torch.from_numpy(output) for output in expected])


@pytest.mark.parametrize("kind", ["linear_flat", "depth", "deeplab"])
@torch.no_grad()
def test_a_network_with_its_head(kind, reader, tmp_path):
    model, x = with_head(kind)
    program = build_program(pack_network(model, x)[0], x, SCALE)
    ours, expected, said = run_both(reader, program, tmp_path)
    check_alike(ours, [torch.from_numpy(output) for output in expected])
    assert ("class of" in said) == (expected[0].shape[1] > 1)
    np.savez(tmp_path / "nan", image=photo(x.shape[1:]), output_0=expected[0] * np.nan)
    done = run(reader, tmp_path / "net.npz", tmp_path / "nan.npz")
    assert refused(done) == "error: output_0: one side is not a number\n"


def refused(done: subprocess.CompletedProcess) -> str:
    """The sentence of a run that ended as it should."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert re.fullmatch("error: .*\n", done.stderr), done.stderr
    return done.stderr


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """A small network of many operations, and a sample."""
    folder = tmp_path_factory.mktemp("whole")
    torch.manual_seed(0)
    names = ("max_pool", "both", "concat", "zeros_around", "larger", "unit")
    some = [OPERATIONS[name] for name in names]
    net = nn.Sequential(nn.Conv2d(3, 8, 3), BinaryUnit(8, 9, 3, "reactnet"), *some)
    x = images(1, 12, 12)
    with torch.no_grad():
        build_program(pack_network(net.eval(), x)[0], x).save(folder / "net.npz")
    np.savez(folder / "sample.npz", image=photo((3, 12, 12)))
    return folder


def changed(folder: Path, path: Path, change) -> Path:
    """The network with another program or other arrays, under checksums that fit."""
    with np.load(folder / "net.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    document = json.loads(bytes(arrays.pop(PROGRAM)))
    change(document, arrays)
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    np.savez(path, **{PROGRAM: np.frombuffer(text, np.uint8)}, **arrays)
    return path


def compress(folder: Path, path: Path) -> None:
    with np.load(folder / "net.npz") as stored:
        np.savez_compressed(path, **{name: stored[name] for name in stored.files})


FILES = {
    "absent": (lambda data: None, "cannot be read"),
    "empty": (lambda data: b"", "is cut or no .npz file"),
    "half": (lambda data: data[: len(data) // 2], "is cut or no .npz file"),
    "a byte lost": (lambda data: data[:-1], "is cut or no .npz file"),
    "a first byte lost": (lambda data: data[1:], "is damaged"),
    "a name": (lambda data: b"\n\x1bxx".join(data.rsplit(b".npy", 1)), "??xx is no"),
    "a value": (
        lambda data: data[:3000] + bytes([data[3000] ^ 1]) + data[3001:],
        "has another checksum",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_refused(name, whole, reader, tmp_path):
    change, words = FILES[name]
    data = change((whole / "net.npz").read_bytes())
    if data is not None:
        (tmp_path / "net.npz").write_bytes(data)
    assert words in refused(run(reader, tmp_path / "net.npz", whole / "sample.npz"))


def step(document: dict, op: str) -> dict:
    return next(step for step in document["steps"] if step["op"] == op)


def cut(arrays: dict, role: str) -> None:
    key = next(key for key in arrays if key.endswith(role))
    arrays[key] = arrays[key][..., :-1]


PROGRAMS = {
    "version": (lambda d, a: d.update(version=2), "format or version"),
    "operation": (lambda d, a: step(d, "prelu").update(op="gelu"), "gelu is unknown"),
    "no inputs": (lambda d, a: step(d, "add").update(inputs=[]), "another number"),
    "a name": (lambda d, a: step(d, "add").update(inputs=["x", "y"]), "made x"),
    "shape": (lambda d, a: step(d, "conv").update(shape=[8, 9, 9]), "another shape"),
    "huge": (lambda d, a: step(d, "conv").update(shape=[9999] * 3), "too large"),
    "negative": (lambda d, a: step(d, "conv").update(stride=[-1, 1]), "not whole"),
    "kernel": (lambda d, a: step(d, "max_pool").update(kernel=[99, 99]), "is larger"),
    "channels": (lambda d, a: step(d, "resize").update(shape=[9, 20, 23]), "together"),
    "axes": (lambda d, a: step(d, "norm").update(axes=[0, 1]), "fit together"),
    "no axis": (lambda d, a: step(d, "norm").update(axes=[3]), "not whole"),
    "no array": (lambda d, a: a.pop(next(k for k in a if "bits" in k)), "bits is not"),
    "bits": (lambda d, a: cut(a, "bits"), "do not fit together"),
    "thresholds": (lambda d, a: cut(a, "thresholds"), "do not fit together"),
    "bias": (lambda d, a: cut(a, "bias"), "do not fit together"),
    "deep": (lambda d, a: d.update(steps=nested(99)), "nested too deeply"),
    "no output": (lambda d, a: d.update(outputs=["z"]), "nothing has made z"),
}


def nested(depth: int) -> list:
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_wrong_program_is_refused(name, whole, reader, tmp_path):
    change, words = PROGRAMS[name]
    path = changed(whole, tmp_path / "net.npz", change)
    assert words in refused(run(reader, path, whole / "sample.npz"))


def test_other_samples_and_compressed_files_are_refused(whole, reader, tmp_path):
    np.savez(tmp_path / "other.npz", image=photo((3, 12, 11)))
    said = refused(run(reader, whole / "net.npz", tmp_path / "other.npz"))
    assert "no array 'image'" in said
    compress(whole, tmp_path / "net.npz")
    said = refused(run(reader, tmp_path / "net.npz", whole / "sample.npz"))
    assert "is compressed" in said
    assert "usage: raw_reader MODEL.npz" in refused(run(reader))


def mutate(value, random: np.random.Generator):
    """Another value somewhere in a tree of JSON."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(sorted(value))
        if random.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: mutate(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.9:
        place = int(random.integers(len(value)))
        if random.random() < 0.2:
            return value[:place] + value[place + int(random.integers(2)) :]
        return [*value[:place], mutate(value[place], random), *value[place + 1 :]]
    wild = [0, -1, 1, 2, 3, 7, 12, 255, 2**20, 2**31, 2**63, 1e300, 0.5, None, True]
    return [*wild, "", "v1", "image", [], {}, [1, 1]][random.integers(len(wild) + 6)]


def spoil(document: dict, random: np.random.Generator) -> None:
    """Change one value of a program, or lose one."""
    key = random.choice(["input", "steps", "steps", "steps", "outputs"])
    document[key] = mutate(document[key], random)


def damage(data: bytes, random: np.random.Generator) -> bytes:
    """A few other bytes, a piece lost, or a piece twice."""
    at, length = (int(n) for n in random.integers(len(data), size=2))
    kind = random.integers(4)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[at + length % 64 :]
    if kind == 2:
        return data[: at + length % 64] + data[at:]
    found = bytearray(data)
    for place in random.integers(len(data), size=int(random.integers(1, 9))):
        found[place] = random.integers(256)
    return bytes(found)


@pytest.mark.slow
def test_hundreds_of_damaged_files_end_with_a_sentence(whole, reader, tmp_path):
    """Read or refused, and no access beside the memory, no undefined arithmetic."""
    random = np.random.default_rng(0)
    data = (whole / "net.npz").read_bytes()
    refusals = 0
    for number in range(600):
        path = tmp_path / "net.npz"
        if number % 2:
            path.write_bytes(damage(data, random))
        else:
            changed(whole, path, lambda document, arrays: spoil(document, random))
        done = run(reader, path, whole / "sample.npz")
        if done.returncode:
            refused(done)
            refusals += 1
    assert 400 < refusals <= 600
