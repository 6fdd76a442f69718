"""Places that options name to write to."""

import argparse
from pathlib import Path

import pytest

from cmim.engine.option_types import output_file


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux only")
def test_the_name_of_an_open_file_is_no_place_for_a_new_one(tmp_path):
    """/dev/stdout would be replaced: it seems to be a file where stdout is one."""
    with (tmp_path / "out.txt").open("w") as file:
        number = file.fileno()
        link = tmp_path / "stdout"
        link.symlink_to(f"/proc/self/fd/{number}")
        for name in (f"/dev/fd/{number}", str(link)):
            with pytest.raises(argparse.ArgumentTypeError, match="is no file"):
                output_file(name)
    plain = tmp_path / "link"
    plain.symlink_to(tmp_path / "out.txt")
    assert output_file(str(plain)) == str(plain)
