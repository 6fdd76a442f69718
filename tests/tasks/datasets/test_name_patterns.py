"""Patterns that say where a data set's files lie."""

import pytest

from tasks.datasets.errors import DataError
from tasks.datasets.name_patterns import fill_split, find_files, read_names, some


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ("pattern", "files", "names"),
    [
        (
            "images/{split}/{name}.jpg",
            ["images/train/b.jpg", "images/train/a.jpg"],
            "ab",
        ),
        ("images/{name}.jpg", ["images/x/a.jpg"], ["x/a"]),
        (
            "leftImg8bit/{split}/{name}_leftImg8bit.png",
            ["leftImg8bit/train/ulm/7_leftImg8bit.png", "leftImg8bit/train/readme.txt"],
            ["ulm/7"],
        ),
        ("{split}/{name}/rgb.png", ["train/0/rgb.png", "train/0/depth.png"], ["0"]),
        ("{split}/rgb_{name}.png", ["train/rgb_1.png", "train/mask_1.png"], ["1"]),
        ("{name}.*", ["a.JPG", "b.png", "c.txt", ".d.png", ".e/f.png"], ["a", "b"]),
        # A dot is a dot, not any character.
        ("{name}.png", ["a.png", "bxpng"], ["a"]),
        # A suffix in capitals is the same; what comes before it is not.
        ("{name}_l.png", ["a_l.PNG", "b_l.png", "c_L.png"], ["a", "b"]),
        ("{name}_rgb.*", ["a_rgb.png", "b_rgb.JPG", "c_ir.png"], ["a", "b"]),
        ("{name}", ["a", "b c.png"], ["a", "b c.png"]),
    ],
)
def test_names_are_what_differs(tmp_path, pattern, files, names):
    touch(tmp_path, *files)
    found = find_files(tmp_path, pattern, "train")
    assert list(found) == list(names)
    assert all(path.is_file() for path in found.values())


def test_a_pattern_may_be_absolute(tmp_path):
    touch(tmp_path, "elsewhere/a.png")
    assert list(find_files(tmp_path / "x", f"{tmp_path}/elsewhere/{{name}}.png", None))


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("images/{split}/a.jpg", "must hold {name} once"),
        ("{name}/{name}.jpg", "must hold {name} once"),
        ("images/{stem}.jpg", r"the place {stem}; accepted are {split} and {name}"),
    ],
)
def test_wrong_patterns_are_said(tmp_path, pattern, said):
    with pytest.raises(ValueError, match=said):
        find_files(tmp_path, pattern, "train")


def test_a_split_is_needed_where_a_pattern_has_one():
    with pytest.raises(ValueError, match="no split is given"):
        fill_split("{split}.txt", None)


def test_a_missing_folder_is_said_with_what_is_there(tmp_path):
    touch(tmp_path, "images/training/a.jpg", "images/validation/a.jpg")
    with pytest.raises(DataError, match=r"images/train' does not exist") as error:
        find_files(tmp_path, "images/{split}/{name}.jpg", "train")
    assert "has training/, validation/" in str(error.value)


def test_no_fitting_file_is_said_with_what_is_there(tmp_path):
    touch(tmp_path, "images/a.png")
    with pytest.raises(DataError, match=r"no file .* fits .* has a.png"):
        find_files(tmp_path, "images/{name}.jpg", None)


def test_two_files_of_one_name_are_refused(tmp_path):
    touch(tmp_path, "a.png", "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg' and .*a\.png' have the same name"):
        find_files(tmp_path, "{name}.*", None)


def test_lists(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("b \n\na b\r\n")
    assert read_names(path) == ["b", "a b"]
    # As Windows' editors save it.
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\r\n")
    assert read_names(path) == ["a", "b"]
    path.write_text("a\nb\n", encoding="utf-16")
    with pytest.raises(DataError, match=r"train.txt' is no text in UTF-8"):
        read_names(path)
    path.write_text("a\nb\na\n")
    with pytest.raises(DataError, match="has twice: a;"):
        read_names(path)
    path.write_text("\n")
    with pytest.raises(DataError, match="is empty"):
        read_names(path)
    with pytest.raises(DataError, match=r"val.txt' does not exist.*has train.txt"):
        read_names(tmp_path / "val.txt")


def test_five_names_are_shown_in_full():
    assert some(list("abcde")) == "a, b, c, d, e"
