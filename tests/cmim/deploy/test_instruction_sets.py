"""What is exported runs, exact, with every instruction set of x86.

The engine reads ``ONEDNN_MAX_CPU_ISA`` when it is loaded, so each set needs a process.
That a limit takes effect is seen by the paddings that are refused (the canary below);
the name of the kernel does not tell: under SSE41 an AVX2 machine names AVX2's, at half
its speed. It takes effect where the CPU has no AVX-512 (AMD Zen 3, openvino 2026.4).
With AVX-512 (Intel Sapphire Rapids, AMD Zen 4) AVX2 takes only the vector bit counts
from the 1-bit kernel, and under SSE41 the engine compiles no binary convolution at all:
what cannot be switched off is skipped. ``limited.py`` says why.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("openvino")

import openvino

from cmim.deploy.openvino_graph import LARGEST_PADDING

HERE = Path(__file__).parent
SETS = ("SSE41", "AVX2", "AVX512_CORE")

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        platform.machine() not in ("x86_64", "AMD64"), reason="instruction sets of x86"
    ),
]


def run(limit: str, *words: str) -> None:
    paths = [str(HERE.parents[2]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, *words],
        env={
            **os.environ,
            "ONEDNN_MAX_CPU_ISA": limit,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def has_avx512() -> bool:
    file = Path("/proc/cpuinfo")
    return file.is_file() and "avx512bw" in file.read_text()


CANARY = """
import sys, numpy as np, openvino as ov
import openvino.opset1 as opset1, openvino.opset13 as ops
from openvino import Shape, Tensor, Type
from openvino.op import Constant

def takes(padding):
    x = ops.parameter([1, 64, 20, 20], Type.f32)
    zero, one = (ops.constant(np.float32(v)) for v in (0, 1))
    bits = ops.fake_quantize(x, zero, zero, zero, one, levels=2)
    tensor = Tensor(Type.u1, Shape([64, 64, 3, 3]))
    tensor.data[:] = 0
    pads = [padding, padding]
    y = opset1.binary_convolution(
        bits, Constant(tensor), [1, 1], pads, pads, pads, "xnor-popcount", 0.0)
    try:
        ov.Core().compile_model(ov.Model([ops.result(y)], [x]), "CPU")
    except RuntimeError:
        return False
    return True

open(sys.argv[1], "w").write(str(max((p for p in range(1, 9) if takes(p)), default=0)))
"""


@cache
def largest_padding(limit: str) -> int:
    """The largest padding that the engine takes under a limit; 0 if it takes none."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "padding"
        run(limit, "-c", CANARY, str(answer))
        return int(answer.read_text())


def skip_unless_limited(limit: str) -> None:
    """Skip where a limit does not do here what it is set for."""
    taken = largest_padding(limit)
    if taken == 0:
        pytest.skip(f"the engine compiles no binary convolution under {limit} here")
    if limit != "AVX512_CORE" and has_avx512() and taken == largest_padding("ALL"):
        pytest.skip(f"{limit} does not switch the engine's AVX-512 kernel off here")


@pytest.fixture(scope="module", params=SETS)
def found(request, tmp_path_factory) -> tuple[Path, dict]:
    if request.param == "AVX512_CORE" and not has_avx512():
        pytest.skip("this CPU has no AVX-512: AVX2 is its largest set")
    if largest_padding(request.param) == 0:
        pytest.skip(f"no binary convolution compiles under {request.param} here")
    folder = tmp_path_factory.mktemp(request.param)
    run(request.param, str(HERE / "instruction_set_run.py"), str(folder))
    return folder, json.loads((folder / "found.json").read_text())


def test_every_kernel_stride_and_dilation_is_exact(found):
    assert found[1]["wrong_layers"] == []


def test_every_head_is_exact(found):
    result = found[1]
    # 16 layers of the encoder; of the binary head the branches and their projections.
    layers = {kind: network["layers"] for kind, network in result["networks"].items()}
    assert layers == {"DeepLabHead": 16, "DepthHead": 25}
    for name, network in result["networks"].items():
        assert network["wrong"] == 0, name
        assert network["share_off"] < 0.05, name
        assert network["kernels"], name


def test_files_hold_no_padding_that_a_smaller_set_refuses(found):
    for path in found[0].glob("*.xml"):
        layers = re.findall(
            r'type="BinaryConvolution".*?<data ([^>]*)/>', path.read_text(), re.DOTALL
        )
        pads = [re.findall(r'pads_\w+="(\d+), ?(\d+)"', text) for text in layers]
        assert len(pads) >= 16
        largest = max(int(n) for layer in pads for pair in layer for n in pair)
        assert 0 < largest <= LARGEST_PADDING


@pytest.mark.parametrize("limit", ["SSE41", "AVX2", "ALL"])
def test_the_engines_limit_is_what_the_export_assumes(limit):
    """A canary: it names a version of the engine that has another limit."""
    skip_unless_limited(limit) if limit != "ALL" else None
    expected = 4 if limit == "ALL" and has_avx512() else LARGEST_PADDING
    assert LARGEST_PADDING == 2
    assert largest_padding(limit) == expected, (
        f"openvino {openvino.__version__} takes padding up to {largest_padding(limit)} "
        f"under {limit}, {expected} before: LARGEST_PADDING of "
        "cmim/deploy/openvino_graph.py"
    )


OLD_FILE = """
import sys, numpy as np, pytest, openvino as ov, openvino.opset13 as ops
from cmim.deploy import openvino_graph as graph
from cmim.deploy.binary_layer import BinaryLayer, ExportError, SignStep, SignTerm
from cmim.deploy.exported_model import Engine
from cmim.deploy.openvino_export import save_model

graph.LARGEST_PADDING = 4
step = SignStep(np.zeros(1, np.float32), -1.0, 1.0)
term = SignTerm(np.ones(8, np.float32), np.ones((8, 8, 3, 3), np.int8))
layer = BinaryLayer("one", (step,), (term,), (1, 1), (4, 4), (4, 4))
x = ops.parameter([1, 8, 20, 20], ov.Type.f32)
model = ov.Model([ops.result(graph.add_layer(x.output(0), layer, 20))], [x])
save_model(model, sys.argv[1])
with pytest.raises(ExportError, match="old.xml holds .* export the checkpoint again"):
    Engine(sys.argv[1])
"""


def test_a_file_of_an_earlier_version_is_refused_with_what_to_do(tmp_path):
    skip_unless_limited("AVX2")
    run("AVX2", "-c", OLD_FILE, str(tmp_path / "old.xml"))
