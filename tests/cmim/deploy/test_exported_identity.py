"""An exported file says of which task it is."""

import json

import numpy as np
import pytest

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.exported_model import load_exported, read_identity
from cmim.deploy.openvino_export import save_model

ov = pytest.importorskip("openvino")

OWN = dict(
    heads=dict(one=dict(type="DeepLabHead", num_classes=2, depth_range=None)),
    classes=["a b", '<c> & "d"'],
    pictures=dict(mean=[1.5], std=[2.5], swapped=False),
)


def saved(path, note):
    image = ov.opset13.parameter([1, 3], np.float32)
    model = ov.Model([ov.opset13.relu(image)], [image])
    if note is not None:
        model.set_rt_info(note, ["cmim", "identity"])
    save_model(model, path)
    return ov.Core().read_model(str(path))


def test_what_was_written_comes_back(tmp_path):
    model = saved(tmp_path / "a.xml", json.dumps(OWN))
    assert read_identity(model, "a.xml") == OWN
    assert read_identity(saved(tmp_path / "b.xml", None), "b.xml") is None
    with pytest.raises(ExportError, match="no JSON object"):
        read_identity(saved(tmp_path / "c.xml", "[1"), "c.xml")


def test_a_file_of_another_order_of_classes_is_refused(tmp_path):
    saved(tmp_path / "a.xml", json.dumps(OWN))
    other = OWN | dict(classes=OWN["classes"][::-1])
    with pytest.raises(ExportError, match="is of another task: its classes"):
        load_exported({}, tmp_path / "a.xml", threads=1, identity=other)
