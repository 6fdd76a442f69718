"""The layer that is timed computes all its filters."""

import pytest

pytest.importorskip("openvino")

from cmim.deploy.sample_layer import sample_layer
from cmim.deploy.verify import compile_layer


def test_every_filter_of_the_timed_layer_is_computed():
    # Equal filters are computed once: a layer of them takes a tenth of the time.
    compiled = compile_layer(sample_layer(64), (1, 64, 6, 5))
    [convolution] = (
        node
        for node in compiled.get_runtime_model().get_ordered_ops()
        if node.get_rt_info()["layerType"] == "BinaryConvolution"
    )
    assert list(convolution.output(0).shape) == [1, 64, 6, 5]
