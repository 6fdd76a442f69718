"""Files that the NumPy reference reads: digests, damage, its command line, alone."""

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

import cmim.deploy.numpy_reference as reference
from cmim.deploy.numpy_reference import (
    Network,
    RawNetworkError,
    load_network,
)
from cmim.deploy.raw_program import INPUT, Program, Step


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
