"""Every binary product of a network is found in the file, or the export is refused."""

from __future__ import annotations

import numpy as np
import pytest

from cmim.deploy.lce import convert
from cmim.deploy.lce.flatbuffer import BINARY, WrittenOperator
from cmim.deploy.lce.operators import TranslationError
from cmim.deploy.lce.products import Product

WEIGHT = np.where(np.arange(8 * 4 * 9) % 5, 1.0, -1.0).astype(np.float32)
WEIGHT = WEIGHT.reshape(8, 4, 3, 3)


def product(weight: np.ndarray = WEIGHT) -> Product:
    return Product(np.zeros(1, np.float32), weight, 0, np.ones(len(weight)))


def operator(kind: str, weight: np.ndarray = WEIGHT) -> WrittenOperator:
    last = np.ascontiguousarray(weight.transpose(0, 2, 3, 1))
    stored = product(weight).packed() if kind == BINARY else last.tobytes()
    return WrittenOperator(kind, (1, 5, 5, len(weight)), "op", last.shape, stored)


@pytest.fixture
def rows(monkeypatch):
    def rows(operators, **layers):
        steps = [({"name": name}, {}, [found]) for name, found in layers.items()]
        monkeypatch.setattr(convert, "binary_steps", lambda network: steps)
        monkeypatch.setattr(convert.flatbuffer, "operators_of", lambda model: operators)
        return convert._rows(None, None)

    return rows


def test_equal_products_that_the_converter_joined_are_both_there(rows):
    # Refused before: the second one had no operator of its own.
    found = rows([operator(BINARY)], one=product(), two=product())
    assert [(row["name"], row["type"]) for row in found] == [
        ("one", BINARY),
        ("two", BINARY),
    ]
    assert found[0]["kernel"] == found[1]["kernel"] == "8x4x3x3, 1 bit"


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_a_product_in_floats_is_refused_beside_its_equal_in_bits(rows, scale):
    operators = [operator(BINARY), operator("CONV_2D", scale * WEIGHT)]
    with pytest.raises(TranslationError, match=r"^two: .* did not make it binary"):
        rows(operators, one=product(), two=product())


def test_a_product_that_is_nowhere_is_refused(rows):
    other = product(-WEIGHT)
    with pytest.raises(TranslationError, match=r"^two: .* did not make it binary"):
        rows([operator(BINARY)], one=product(), two=other)
    with pytest.raises(TranslationError, match=r"^op: its bits are of no layer"):
        rows([operator(BINARY, -WEIGHT)], one=product())
