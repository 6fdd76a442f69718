"""Labels of one value more than classes: all files together say which one is void."""

import numpy as np
import pytest
from folder_cases import SEG, build, frame

from tasks.datasets.errors import DataError
from tasks.datasets.label_format import LabelFormat
from tasks.datasets.survey import survey

THREE = dict(classes=["a", "b", "c"])
FIRST = "label_values=list(range(1, 4)), void_values=[0]"
LAST = "void_values=[3]"
# Values of a file, a letter of ten pixels each time: what the first file says is wrong.
CASES = {
    # Value 3 is void, a little of every picture (as in CamVid); 0 is the sky.
    "last": (["0333333312", *["0000000312"] * 20], LAST, True),
    # Value 0 is void, a little of every picture; 3 is the commonest class.
    "first": (["0000000312", *["0333333312"] * 20], FIRST, True),
    # The first picture has no sky, so 0 is nothing there.
    "absent": (["3333333312", *["0000000312"] * 20], LAST, True),
    # No picture has a 0: 1 to 3 are the classes.
    "none": (["1112223333", "1112222222"], FIRST, True),
    # Class 3 of ADE20K-like sets is rare as it is in few pictures: nothing is told.
    "tail": (["0000000312", *["0000000112"] * 20], LAST, False),
    # Both as often.
    "even": (["0000333112", "0003333112"], None, False),
}


def write_files(root, values):
    for number, text in enumerate(values):
        places = (f"images/train/{number}.jpg", f"labels/train/{number}.png")
        frame(root, *places, size=(2, 5), values=[int(letter) for letter in text])


@pytest.mark.parametrize("case", CASES)
def test_all_files_decide_and_not_the_first_one(tmp_path, case):
    values, likelier, told = CASES[case]
    write_files(tmp_path, values)
    with pytest.raises(DataError) as error:
        build(tmp_path, metainfo=THREE)
    (problem,) = survey(build(tmp_path, probe=False, metainfo=THREE))["problems"]
    for said in (str(error.value), problem):
        assert FIRST in said
        assert LAST in said
        if likelier is not None:
            other = FIRST if likelier == LAST else LAST
            assert said.index(likelier) < said.index(other)
        assert ("first reading is the likelier" in said) == told
        assert ("that does not tell which" in said) != told
        every = "".join(values)
        for value in "03":
            assert f"are {value} ({every.count(value)} pixels, in" in said
        assert f"Of the pixels of {len(values)} files" in said


def test_what_is_named_as_void_stays_void():
    form = LabelFormat(["a", "b"], void=[7, 9])
    with pytest.raises(DataError, match=r"void_values=\[2, 7, 9\]"):
        form.decode(np.array([[0, 1, 2, 7]]))


def test_other_problems_are_counted_beside_it(tmp_path):
    write_files(tmp_path, ["0000000312", "0000000912"])
    description = dict(SEG, probe=False, metainfo=THREE)
    nine, three = survey(build(tmp_path, **description))["problems"]
    assert "has the values 9" in nine
    assert "has the values 3" in three
