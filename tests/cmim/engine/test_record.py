"""Figures as JSON that any program reads."""

import json
import math

from cmim.engine.record import write_json


def test_what_is_not_finite_is_null(tmp_path):
    content = dict(rmse=math.nan, rows=[dict(iou=math.inf, n=1)], pair=(1.5, -math.inf))
    write_json(tmp_path / "a.json", content)

    def refuse(name):
        raise AssertionError(name)

    found = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert found == dict(rmse=None, rows=[dict(iou=None, n=1)], pair=[1.5, None])
