"""Values and colours of label pictures become classes, or a clear error."""

import cv2
import numpy as np
import pytest
from PIL import Image

from tasks.datasets.errors import DataError
from tasks.datasets.label_format import LabelFormat

THREE = ["road", "car", "tree"]
RED, GREEN, BLACK = [255, 0, 0], [0, 255, 0], [0, 0, 0]


def write(path, array):
    array = np.asarray(array)
    cv2.imwrite(str(path), array[..., ::-1] if array.ndim == 3 else array)
    return path


def with_palette(path, numbers, colours):
    picture = Image.fromarray(np.array(numbers, np.uint8), mode="P")
    picture.putpalette([level for colour in colours for level in colour])
    picture.save(path)
    return path


def slow_decode(stored, values, void):
    """Pixel by pixel."""
    out = np.zeros(stored.shape[:2], np.uint8)
    for place in np.ndindex(out.shape):
        value = stored[place].tolist()
        out[place] = 255 if value in void else values.index(value)
    return out


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbers_agree_with_a_loop(tmp_path, dtype):
    values, void = [7, 0, 200 if dtype == np.uint8 else 40_000], [1, 254]
    pool = np.array([*values, *void], dtype)
    stored = np.random.default_rng(0).choice(pool, (9, 7))
    path = write(tmp_path / "a.png", stored)
    found = LabelFormat(THREE, values, void).read(path)
    assert found.dtype == np.uint8
    assert np.array_equal(found, slow_decode(stored, values, void))


def test_colours_agree_with_a_loop(tmp_path):
    values, void = [RED, [0, 0, 1], [1, 0, 0]], [BLACK, GREEN]
    pool = np.array([*values, *void], np.uint8)
    stored = pool[np.random.default_rng(0).integers(0, 5, (9, 7))]
    path = write(tmp_path / "a.png", stored)
    found = LabelFormat(THREE, values, void).read(path)
    assert np.array_equal(found, slow_decode(stored, values, void))


def test_usual_values_are_0_1_2_and_255_is_void(tmp_path):
    path = write(tmp_path / "a.png", np.array([[0, 1, 2, 255]], np.uint8))
    assert LabelFormat(THREE).read(path).tolist() == [[0, 1, 2, 255]]


def test_usual_void_gives_way_to_a_class(tmp_path):
    path = write(tmp_path / "a.png", np.array([[0, 255]], np.uint8))
    assert LabelFormat(["no", "yes"], [0, 255]).read(path).tolist() == [[0, 1]]
    path = write(tmp_path / "b.png", np.array([[BLACK, RED]], np.uint8))
    assert LabelFormat(["no", "yes"], [BLACK, RED]).read(path).tolist() == [[0, 1]]


def test_numbers_of_a_palette_count_and_not_its_colours(tmp_path):
    path = with_palette(tmp_path / "a.png", [[0, 1, 2, 0]], [RED, GREEN, BLACK])
    assert LabelFormat(THREE).read(path).tolist() == [[0, 1, 2, 0]]


def test_colours_of_a_palette_count_where_colours_are_named(tmp_path):
    path = with_palette(tmp_path / "a.png", [[0, 1, 2, 0]], [RED, GREEN, BLACK])
    found = LabelFormat(["b", "a"], [GREEN, RED]).read(path)
    assert found.tolist() == [[1, 0, 255, 1]]


def test_one_bit_is_0_and_1_and_not_255(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.array([[False, True]])).save(path)
    assert Image.open(path).mode == "1"
    assert LabelFormat(["no", "yes"]).read(path).tolist() == [[0, 1]]


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(ValueError, match="class names car stand twice"):
        LabelFormat(["car", "road", "car"])


def test_255_classes_fit():
    names = [str(k) for k in range(255)]
    stored = np.arange(256)[None]
    assert np.array_equal(LabelFormat(names).decode(stored), stored)
    with pytest.raises(ValueError, match="1 to 255 classes"):
        LabelFormat([*names, "one more"])


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ([[0, 7, 9]], r"has the values 7, 9, .*accepted are 0 to 2 .*255.*0, 7, 9"),
        ([[0, 1, 2, 3]], r"label_values=list\(range\(1, 4\)\), void_values=\[0\]"),
        ([[[9, 9, 9], RED]], r"coloured picture.*\[9, 9, 9\], \[255, 0, 0\]"),
    ],
)
def test_wrong_files_are_said(tmp_path, stored, said):
    path = write(tmp_path / "odd.png", np.array(stored, np.uint8))
    with pytest.raises(DataError, match=said) as error:
        LabelFormat(THREE).read(path)
    assert "odd.png" in str(error.value)


def test_unknown_colours_are_said(tmp_path):
    path = write(tmp_path / "a.png", np.array([[RED, [254, 0, 3]]], np.uint8))
    with pytest.raises(DataError, match=r"the colours \[254, 0, 3\] are neither"):
        LabelFormat(["a"], [RED]).read(path)


def test_lossy_missing_and_damaged_files_are_said(tmp_path):
    form = LabelFormat(THREE)
    with pytest.raises(DataError, match="content is JPEG, which changes"):
        form.read(write(tmp_path / "a.JPG", np.zeros((4, 4), np.uint8)))
    # What counts is the content: a JPEG file under another name is as wrong.
    (tmp_path / "a.JPG").rename(tmp_path / "a.png")
    for which in (form, LabelFormat(["a"], [RED])):
        with pytest.raises(DataError, match="content is JPEG, which changes"):
            which.read(tmp_path / "a.png")
    with pytest.raises(DataError, match="do not exist"):
        form.read(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"no picture")
    for which in (form, LabelFormat(["a"], [RED])):
        with pytest.raises(DataError, match=r"c.png': cannot be decoded"):
            which.read(tmp_path / "c.png")


@pytest.mark.parametrize(
    ("values", "void", "said"),
    [
        ([0, 1], None, "3 classes and 2 label_values"),
        ([0, 1, 1], None, "stands for two things"),
        ([0, 1, 2], [2], "stands for two things"),
        ([0, 1, RED], None, "all values are whole numbers or all colours"),
        ([RED, GREEN, 0], None, "all values are whole numbers or all colours"),
        ([0.0, 1.0, 2.0], None, "label value 0.0: expected a number"),
        (["0", "1", "2"], None, "label value '0': expected a number"),
        ([RED, GREEN, [0.5, 0, 0]], None, "0 to 255"),
        ([RED, GREEN, "abc"], None, "label value 'abc'"),
        (dict(road=0, car=1, tree=2), None, "label_values must be a list"),
        (None, 255, "void_values must be a list, one value each; got 255"),
        ([RED, GREEN, [0, 0, 256]], None, "0 to 255"),
        ([0, 1, -1], None, "0 to 65535"),
    ],
)
def test_wrong_descriptions_are_said(values, void, said):
    with pytest.raises(ValueError, match=said):
        LabelFormat(THREE, values, void)
