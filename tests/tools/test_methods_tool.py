"""tools/methods.py: the list is the registry, the picture shows the curves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from in_process import run_in_process
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from cmim.analysis.method_picture import FORWARD, GRADIENT, draw_methods
from cmim.analysis.method_table import describe_methods, format_methods
from cmim.methods import available_methods, get_method


def test_json_holds_the_registry(tmp_path):
    target = tmp_path / "methods.json"
    done = run_in_process("methods", "--no-picture", "--json", str(target))
    assert done.returncode == 0, done.stderr
    rows = json.loads(target.read_text())
    assert isinstance(rows, list)
    assert [row["name"] for row in rows] == available_methods()
    for row in rows:
        method = get_method(row["name"])
        assert row["paper"] == method.paper
        assert row["full_precision"] == method.full_precision
        assert row["checked"] == method.checked
        assert row["published"] == method.published
        assert row["binary_weights"] == (method.weight is not None)
        assert row["binary_activations"] == (method.activation is not None)
        # The options shown are accepted, and mean the same method.
        again = get_method({"name": row["name"], **row["options"]})
        assert again.full_precision == method.full_precision
        assert row["name"] in done.stdout
    options = {row["name"]: row["options"] for row in rows}
    assert options["irnet"] == {"t_min": 0.1, "t_max": 10.0}
    assert options["fp"] == {}


@pytest.mark.full
def test_picture_of_chosen_methods(tmp_path):
    target = tmp_path / "new" / "two.png"
    done = run_in_process("methods", "dorefa", "irnet", "--picture", str(target))
    assert done.returncode == 0, done.stderr
    assert str(target) in done.stdout
    assert "recu" not in done.stdout
    assert target.stat().st_size > 10_000


def test_unknown_method_is_refused_before_anything_is_drawn(tmp_path):
    for work in (describe_methods, lambda names: draw_methods(tmp_path / "x", names)):
        with pytest.raises(ValueError, match="method 'bi-real' is unknown; choose"):
            work(["bireal", "bi-real"])
    assert not list(tmp_path.iterdir())


def pixels_of(picture: np.ndarray, color: str) -> int:
    return int((np.abs(picture[..., :3] - to_rgb(color)).max(-1) < 0.02).sum())


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "curves", "others"),
    [
        ("bireal", [FORWARD[None], GRADIENT[None]], [GRADIENT[0.0], GRADIENT[1.0]]),
        ("irnet", [FORWARD[1.0], *(GRADIENT[p] for p in (0.0, 0.5, 1.0))], []),
    ],
)
def test_picture_has_the_curves_of_the_method(tmp_path, name, curves, others):
    for method in (name, "fp"):
        draw_methods(tmp_path / f"{method}.png", [method])
    drawn, blank = (imread(tmp_path / f"{method}.png") for method in (name, "fp"))
    for color in curves:
        assert pixels_of(drawn, color) > pixels_of(blank, color) + 100, color
    for color in others:
        assert pixels_of(drawn, color) == pixels_of(blank, color)


@pytest.mark.parametrize("width", [80, 129, 130, 200])
def test_table_fits_its_width(width):
    rows = describe_methods()
    lines = format_methods(rows, width).splitlines()
    assert max(map(len, lines)) <= width
    squeezed = "".join("".join(lines).split())
    assert "tau_min=0.85" in squeezed


@pytest.mark.parametrize("width", [80, 140])
def test_published_accuracy_is_a_column_and_a_dash_where_there_is_none(width):
    rows = describe_methods(["irnet", "fp"])
    assert [row["published"] for row in rows] == [58.1, None]
    text = format_methods(rows, width)
    assert "top-1 %" in text
    assert " 58.1" in text
    assert " - " in text or " -\n" in text
