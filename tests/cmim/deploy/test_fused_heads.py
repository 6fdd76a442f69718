"""Heads that resize features within the network, in every format but OpenVINO's."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from fused_heads import FUSED_HEADS, SIZE, fused
from network_cases import check_alike, images
from numpy_tensorflow import numpy_tensorflow

from cmim.deploy.formats.npz import compare_layers
from cmim.deploy.lce.convert import run_program
from cmim.deploy.lce.layout import channels_first, channels_last
from cmim.deploy.packed_conv import pack_network
from cmim.deploy.raw_trace import build_program

pytestmark = pytest.mark.full


@pytest.mark.parametrize("name", FUSED_HEADS)
@torch.no_grad()
def test_a_fused_head_is_that_of_torch(name, tmp_path):
    x = images(3, *SIZE)
    core, packed = pack_network(fused(name), x)
    program = build_program(core, x[:1])
    network = program.network()
    used = Counter(step["op"] for step in network.steps)
    assert used["resize"] > 0
    assert used["norm"] == (name == "normals")
    rows, expected = compare_layers(network, core, x)
    assert [row["layer"] for row in rows] == packed
    assert not [row for row in rows if row["wrong"]]
    check_alike([network.run(x.numpy())], expected)
    (found,) = run_program(numpy_tensorflow, network, channels_last(x.numpy()), len(x))
    check_alike([channels_first(found)], expected)
    if name == "normals":
        lengths = np.linalg.norm(network.run(x.numpy()), axis=1)
        np.testing.assert_allclose(lengths, 1, rtol=1e-6)


@pytest.mark.parametrize("name", FUSED_HEADS)
@torch.no_grad()
def test_a_fused_head_is_that_of_torch_in_qonnx(name, tmp_path):
    pytest.importorskip("qonnx", reason="qonnx is not installed")
    from cmim.deploy.qonnx_export import QonnxNetwork, save_qonnx

    x = images(2, *SIZE)
    core, _ = pack_network(fused(name), x)
    save_qonnx(core, x, tmp_path / "net.qonnx")
    check_alike(QonnxNetwork(tmp_path / "net.qonnx").run(x.numpy()), [core(x)])
