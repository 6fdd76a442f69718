"""The latency of one network: binary or not, of a checkpoint or not."""

from __future__ import annotations

import pytest

from cmim.engine.config import ConfigError, load_config

pytest.importorskip("openvino")

from cmim.bench.latency.one_network import time_network

pytestmark = pytest.mark.full


@pytest.mark.parametrize(("method", "binary"), [("bireal", True), ("fp", False)])
def test_a_network_is_timed_with_its_binary_layers(method, binary):
    options = {"model.model.backbone.method": method}
    found = time_network(load_config("rooms_seg_bireal", options), rounds=3)
    low, high = found["spread_ms"]
    assert 0 < low <= found["ms"] <= high
    assert (found["clock"], found["threads"]) == ("cpu", 1)
    assert found["input"][:2] == [1, 3]
    # All convolutions of ResNet-18's blocks but the shortcuts'.
    assert found["binary_layers"] == (16 if binary else 0)
    assert found["megabytes"] > 0


def test_files_of_binary_networks_are_smaller():
    sizes = [
        time_network(
            load_config("rooms_seg_bireal", {"model.model.backbone.method": method}),
            rounds=1,
        )["megabytes"]
        for method in ("bireal", "fp")
    ]
    assert sizes[0] < sizes[1] / 2


def test_without_an_input_size_there_is_none():
    config = load_config("rooms_seg_bireal")
    steps = config.test_dataloader.dataset.pipeline
    config.test_dataloader.dataset.pipeline = [s for s in steps if "size" not in s]
    with pytest.raises(ConfigError, match="--size"):
        time_network(config)
