"""Damaged records of a run are named."""

from __future__ import annotations

import pytest

from cmim.json_file import JsonFileError, read_json
from tasks.multitask.comparison import read_run


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is damaged: it is no JSON"),
        (b'{"seed": 1, "tes', "is damaged: it is no JSON"),
        (b"\xff\xfe\x00", "is damaged: it is no JSON"),
        (b"[1, 2]", "holds a list, expected a dict"),
        (b"[" * 100_000, "is damaged: it is no JSON"),
    ],
    ids=range(5),
)
def test_the_file_is_named(content, said, tmp_path):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    (tmp_path / "metrics.json").write_text("{}")
    for read in (lambda: read_json(path), lambda: read_run(tmp_path)):
        with pytest.raises(JsonFileError, match=said) as error:
            read()
        assert str(error.value).startswith(f"'{path}' ")


def test_whole_files_are_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [1]}')
    assert read_json(tmp_path / "a.json") == {"a": [1]}
    (tmp_path / "b.json").write_text("[1]")
    assert read_json(tmp_path / "b.json", list) == [1]
