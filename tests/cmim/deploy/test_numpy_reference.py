"""The NumPy reference: binary layers by hand and in integers, files, errors, alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from layer_cases import LEVELS, at_thresholds, integer_convolution, random_layer

import cmim.deploy.numpy_reference as reference
from cmim.deploy.binary_layer import BinaryLayer, SignStep, SignTerm
from cmim.deploy.numpy_reference import (
    Network,
    RawNetworkError,
    binary_conv,
    load_network,
    unpack_signs,
)
from cmim.deploy.packed_conv import PackedConv
from cmim.deploy.raw_program import INPUT, Program, Step, binary_step, pack_signs


def run_layer(layer: BinaryLayer, x: np.ndarray) -> np.ndarray:
    step = binary_step(layer, INPUT, "out", ())
    return binary_conv(step.options, step.arrays, x)


def naive_layer(layer: BinaryLayer, x: np.ndarray) -> np.ndarray:
    """Pixel by pixel, from the page's words: products outside are left out."""
    n, channels, height, width = x.shape
    o, _, kh, kw = layer.shape
    out = np.zeros((n, o, height, width))
    for image, c, f, y, z, i, j in np.ndindex(n, channels, o, height, width, kh, kw):
        row = y * layer.stride[0] - layer.padding[0] + i * layer.dilation[0]
        column = z * layer.stride[1] - layer.padding[1] + j * layer.dilation[1]
        if 0 <= row < height and 0 <= column < width:
            for step in layer.steps:
                cut = step.threshold[c % len(step.threshold)]
                level = step.high if x[image, c, row, column] >= cut else step.low
                for term in layer.terms:
                    product = level * int(term.signs[f, c, i, j])
                    out[image, f, y, z] += term.scale[f] * product
    return out


def worked_example(low: float, high: float) -> BinaryLayer:
    """That of docs/raw_format.md."""
    step = SignStep(np.float32([0, 1]), low, high)
    signs = np.array([[[[1, -1, 1]], [[-1, -1, 1]]]], np.int8)
    term = SignTerm(np.float32([0.5]), signs)
    return BinaryLayer("layer", (step,), (term,), (1, 1), (0, 1), (1, 1))


def test_the_worked_example_has_these_bytes_and_values():
    step = binary_step(worked_example(-1, 1), INPUT, "out", (1, 1, 3))
    assert step.arrays["bits"].shape == (1, 1, 1, 3, 1)
    assert step.arrays["bits"].tobytes() == bytes.fromhex("01 00 03")
    assert step.arrays["thresholds"].tobytes().hex(" ") == "00 00 00 00 00 00 80 3f"
    assert step.arrays["scales"].tobytes() == bytes.fromhex("00 00 00 3f")
    x = np.float32([[0.5, -1, 0], [2, 1, 0.9]]).reshape(1, 2, 1, 3)
    assert run_layer(worked_example(-1, 1), x).ravel().tolist() == [-1, 0, -1]
    assert run_layer(worked_example(0, 1), x).ravel().tolist() == [-0.5, 0, -1]
    page = Path(__file__).resolve().parents[3] / "docs" / "raw_format.md"
    assert "bits   01 00 03" in page.read_text(encoding="utf-8")


def test_both_zeros_are_plus_one():
    term = SignTerm(np.float32([1]), np.ones((1, 1, 1, 1), np.int8))
    step = SignStep(np.float32([0]), -1, 1)
    layer = BinaryLayer("layer", (step,), (term,), (1, 1), (0, 0), (1, 1))
    x = np.float32([0.0, -0.0, -1e-30]).reshape(1, 1, 1, 3)
    assert run_layer(layer, x).ravel().tolist() == [1, 1, -1]


def test_channels_lie_in_bits_from_the_lowest_on():
    signs = np.ones((1, 9, 1, 2), np.int8)
    signs[0, 1, 0, 0] = signs[0, 8, 0, 1] = -1
    assert pack_signs(signs).tolist() == [[[[0b11111101, 1], [255, 0]]]]


@pytest.mark.parametrize("channels", [1, 7, 8, 9, 63, 64, 65, 100])
def test_unpacking_undoes_packing(channels):
    signs = np.random.default_rng(channels).choice([-1, 1], (3, channels, 2, 3))
    assert pack_signs(signs).shape == (3, 2, 3, -(-channels // 8))
    np.testing.assert_array_equal(unpack_signs(pack_signs(signs), channels), signs)


@pytest.mark.parametrize("levels", LEVELS)
def test_a_small_layer_equals_loops_over_its_pixels(levels):
    rng = np.random.default_rng(3)
    layer = random_layer(rng, o=2, i=3, k=3, d=2, s=1, levels=levels, terms=2)
    x = at_thresholds(rng, layer)[:1, :, :5, :4]
    np.testing.assert_array_equal(run_layer(layer, x), naive_layer(layer, x))


@pytest.mark.parametrize("seed", range(60))
def test_any_layer_is_exact_at_and_beside_its_thresholds(seed):
    """Any stride, dilation, number of channels, kind of levels, images at a time."""
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, terms=int(rng.integers(1, 3)))
    x = at_thresholds(rng, layer)
    # Scales are powers of two: nothing rounds.
    np.testing.assert_array_equal(run_layer(layer, x), integer_convolution(layer, x))


@pytest.mark.parametrize("seed", range(5))
def test_any_scale_and_level_gives_the_bits_that_torch_gives(seed):
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, k=3, d=2, levels="several", terms=2)
    terms = tuple(
        replace(term, scale=rng.random(len(term.scale), np.float32))
        for term in layer.terms
    )
    steps = tuple(
        replace(s, low=s.low / 3, high=float(rng.random())) for s in layer.steps
    )
    layer = replace(layer, terms=terms, steps=steps)
    x = at_thresholds(rng, layer)
    theirs = PackedConv(layer)(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(run_layer(layer, x), theirs)


def test_centred_thresholds_count_from_the_mean_of_each_image():
    rng = np.random.default_rng(0)
    layer = random_layer(rng, o=3, i=4, k=3, d=1, levels="signs")
    # Eighths, so that means and differences are exact.
    x = rng.integers(-8, 9, (2, 4, 4, 8)).astype(np.float32) / 8
    x[1] += 3
    shifted = x - x.mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_array_equal(
        run_layer(replace(layer, centred=True), x), integer_convolution(layer, shifted)
    )
    assert (run_layer(layer, x) != integer_convolution(layer, shifted)).any()


@pytest.mark.parametrize("value", [-0.99, 0.1, 1 / 3, 3e4, 1e-20])
def test_codes_of_a_constant_image_are_those_of_torch(value):
    rng = np.random.default_rng(0)
    layer = replace(random_layer(rng, o=3, i=5, k=3, d=1, levels="signs"), centred=True)
    x = np.full((2, 5, 31, 37), value, np.float32)
    theirs = PackedConv(layer)(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(run_layer(layer, x), theirs)


def test_a_wrong_bit_is_seen():
    rng = np.random.default_rng(1)
    layer = random_layer(rng, o=4, i=10, k=3, d=1, levels="signs")
    x, step = at_thresholds(rng, layer), binary_step(layer, INPUT, "out", ())
    step.arrays["bits"][0, 0, 1, 1, 1] ^= 1
    wrong = binary_conv(step.options, step.arrays, x) != run_layer(layer, x)
    assert wrong[:, 0].all()
    assert not wrong[:, 1:].any()


def test_bits_without_a_channel_mean_nothing():
    rng = np.random.default_rng(1)
    layer = random_layer(rng, o=4, i=10, k=3, d=1, levels="signs")
    x, step = at_thresholds(rng, layer), binary_step(layer, INPUT, "out", ())
    step.arrays["bits"][..., 1] |= 0b11111100
    ours = binary_conv(step.options, step.arrays, x)
    np.testing.assert_array_equal(ours, run_layer(layer, x))


def tiny_program() -> Program:
    steps = (
        Step("relu", (INPUT,), "v0", (3, 2, 2)),
        Step("mean", ("v0",), "v1", (3,), dict(axes=[1, 2])),
        Step(
            "affine",
            ("v1",),
            "v2",
            (3,),
            arrays=dict(scale=np.float32([2]), shift=np.float32([0, 1, 2])),
        ),
    )
    return Program((3, 2, 2), steps, ("v2",), dict(mean=[1, 2, 3], std=[1, 2, 4]))


def test_images_are_normalised_per_channel():
    network = tiny_program().network()
    photo = np.array([[[1, 2, 3], [2, 6, 11]]] * 2, np.uint8)
    assert network.normalise(photo)[0, :, 0].tolist() == [[0, 1], [0, 2], [0, 2]]
    assert network.run(network.normalise(photo)).tolist() == [[1, 3, 4]]
    assert network.normalise(np.stack([photo] * 2)).shape == (2, 3, 2, 2)
    with pytest.raises(RawNetworkError, match=r"\(3, 2, 2\), not"):
        network.normalise(photo.transpose(2, 0, 1))


def test_images_of_another_size_are_refused():
    with pytest.raises(RawNetworkError, match=r"of \(3, 2, 2\)"):
        tiny_program().network().run(np.zeros((1, 3, 4, 4), np.float32))


def changed(**changes) -> dict:
    return tiny_program().pack()[0] | changes


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "format None is not 'cmim-raw'"),
        (changed(format="other"), "format 'other' is not 'cmim-raw'"),
        (changed(version=2), "version 2 is not the version 1"),
        (changed(outputs=["v9"]), "made by no step"),
        (changed(steps=tiny_program().pack()[0]["steps"][1:]), "'v0' is not in the"),
    ],
)
def test_programs_that_are_not_whole_are_refused(document, message):
    with pytest.raises(RawNetworkError, match=message):
        Network(document, tiny_program().pack()[1])


def test_unknown_operations_and_missing_arrays_are_named():
    document, arrays = tiny_program().pack()
    with pytest.raises(RawNetworkError, match=r"'v2': '002\.scale' is not in the file"):
        Network(document, {k: v for k, v in arrays.items() if k != "002.scale"})
    document["steps"][0]["op"] = "gelu"
    with pytest.raises(RawNetworkError, match="step 'v0': unknown operation 'gelu'"):
        Network(document, arrays)


def test_files_that_are_none_are_refused(tmp_path):
    whole = tmp_path / "whole.npz"
    tiny_program().save(whole)
    contents = whole.read_bytes()
    middle = len(contents) // 2
    for name, data in {
        "short.npz": contents[:middle],
        "empty.npz": b"",
        "text.npz": b"no archive at all",
        "flipped.npz": contents.replace(b'"relu"', b'"gelu"')[:middle] + b"\0" * 9,
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(RawNetworkError, match=f"{name} is damaged or no raw"):
            load_network(path)
    np.savez(tmp_path / "foreign.npz", weight=np.zeros(3))
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "half.npz", program=np.frombuffer(b'{"format":"cm', np.uint8))
    program = json.dumps(dict(format="cmim-raw", version=1)).encode()
    np.savez(tmp_path / "no_steps.npz", program=np.frombuffer(program, np.uint8))
    for name in ("foreign.npz", "one.npy", "half.npz", "no_steps.npz"):
        with pytest.raises(RawNetworkError, match=f"{name} is damaged or no raw"):
            load_network(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"absent\.npz"):
        load_network(tmp_path / "absent.npz")


def test_a_digest_tells_what_checksums_do_not(tmp_path):
    """Of an archive that was written again, with another array or another order."""
    whole, again = tmp_path / "whole.npz", tmp_path / "again.npz"
    own = dict(classes=["a", '"sha256":"' + "1" * 64])
    replace(tiny_program(), identity=own).save(whole)
    with np.load(whole) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(again, **arrays)
    assert load_network(again).document["identity"] == own
    name = next(name for name in arrays if arrays[name].dtype == np.float32)
    np.savez(again, **arrays | {name: arrays[name] + 1})
    with pytest.raises(RawNetworkError, match="its digest is another one"):
        load_network(again)
    program = arrays["program"].tobytes().replace(b'"a"', b'"b"')
    np.savez(again, **arrays | dict(program=np.frombuffer(program, np.uint8)))
    with pytest.raises(RawNetworkError, match="its digest is another one"):
        load_network(again)
    # A file from before there was a digest.
    document, arrays = tiny_program().pack()
    text = np.frombuffer(json.dumps(document).encode(), np.uint8)
    np.savez(again, program=text, **arrays)
    assert len(load_network(again).steps) == len(document["steps"])


def test_equal_programs_give_equal_files(tmp_path):
    for name in ("a.npz", "b.npz"):
        tiny_program().save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_file_that_unpacks_to_a_multiple_of_itself_is_not_read(tmp_path):
    program = np.frombuffer(json.dumps(changed()).encode(), np.uint8)
    bomb = tmp_path / "bomb.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("program.npy", "w") as entry:
            np.lib.format.write_array(entry, program)
        with file.open("zeros.npy", "w") as entry:
            for _ in range(80):
                entry.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(RawNetworkError, match=r"bomb\.npz is .* unpack to 8\d MB"):
        load_network(bomb)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, a: d["steps"][1].pop("axes"), r"step 'v1' \(mean\) .*axes"),
        (lambda d, a: d["steps"][1].update(axes=[9]), r"step 'v1' \(mean\) cannot"),
        (lambda d, a: d["steps"][0].update(shape=[3, 2, 1]), "gives .*not"),
        (lambda d, a: a.update({"002.shift": np.zeros(4)}), r"step 'v2' \(affine\)"),
    ],
)
def test_steps_that_do_not_fit_together_are_named(change, message):
    document, arrays = tiny_program().pack()
    change(document, arrays)
    with pytest.raises(RawNetworkError, match=message):
        Network(document, arrays).run(np.ones((1, 3, 2, 2), np.float32))


def test_pictures_are_bytes():
    with pytest.raises(RawNetworkError, match="float64; give uint8"):
        tiny_program().network().normalise(np.ones((2, 2, 3)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "usage: python numpy_reference.py MODEL.npz [PHOTO.npy]"),
        (["--help"], "usage: "),
        (["absent.npz"], "'absent.npz' does not exist"),
        (["."], "'.' does not exist, or is no file"),
        (["reader.py"], "reader.py is damaged or no raw network"),
        (["model.npz", "absent.npy"], "absent.npy"),
        (["model.npz", "reader.py"], "reader.py is no .npy file"),
        (["model.npz", "model.npz"], "model.npz is no .npy file"),
        (["model.npz", "grey.npy"], "images are (2, 2), not"),
        (["model.npz", "large.npy"], "images are (1, 3, 4, 4); this network takes"),
    ],
)
def test_its_command_line_says_one_sentence(words, said, tmp_path):
    tiny_program().save(tmp_path / "model.npz")
    shutil.copy(reference.__file__, tmp_path / "reader.py")
    np.save(tmp_path / "grey.npy", np.zeros((2, 2), np.uint8))
    np.save(tmp_path / "large.npy", np.zeros((4, 4, 3), np.uint8))
    done = subprocess.run(
        [sys.executable, "reader.py", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line


BLOCKED = "import sys; sys.modules.update(torch=None, mmengine=None, openvino=None)\n"
USE = """
import numpy as np
network = load_network(sys.argv[1])
print(network.run(np.ones((1, 3, 2, 2), np.float32)).tolist())
"""


def run_alone(code: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + code, *arguments],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_copied_file_runs_without_the_project_and_without_torch(tmp_path):
    path = tmp_path / "model.npz"
    tiny_program().save(path)
    shutil.copy(reference.__file__, tmp_path / "reader.py")
    block = "sys.modules.update(cmim=None)\nfrom reader import load_network"
    assert run_alone(block + USE, tmp_path, str(path)) == "[[2.0, 3.0, 4.0]]\n"
    listed = subprocess.run(
        [sys.executable, "reader.py", "model.npz"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "affine" in listed.stdout
    assert "s an image" in listed.stdout


def test_the_module_in_its_place_imports_no_torch(tmp_path):
    tiny_program().save(tmp_path / "model.npz")
    root = Path(reference.__file__).resolve().parents[2]
    code = "from cmim.deploy.numpy_reference import load_network" + USE
    assert "4.0" in run_alone(code, root, str(tmp_path / "model.npz"))
