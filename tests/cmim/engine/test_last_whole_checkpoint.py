"""Only whole checkpoints are resumed from."""

import torch

from cmim.engine.runner import last_whole_checkpoint


def save(path, step: int) -> None:
    torch.save({"state_dict": {"w": torch.ones(99)}, "optimizer": {}, "s": step}, path)


def test_the_last_one_is_taken(tmp_path):
    save(tmp_path / "previous.pth", 1)
    save(tmp_path / "last.pth", 2)
    assert last_whole_checkpoint(tmp_path).name == "last.pth"


def test_half_written_and_missing_ones_are_passed_over(tmp_path):
    save(tmp_path / "previous.pth", 1)
    save(tmp_path / "last.pth", 2)
    whole = (tmp_path / "last.pth").read_bytes()
    for kept in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "last.pth").write_bytes(whole[:kept])
        assert last_whole_checkpoint(tmp_path).name == "previous.pth"
    (tmp_path / "last.pth").unlink()
    (tmp_path / ".new.pth.part").write_bytes(whole[:50])
    assert last_whole_checkpoint(tmp_path).name == "previous.pth"


def test_nothing_whole_is_none(tmp_path):
    assert last_whole_checkpoint(tmp_path) is None
    (tmp_path / "last.pth").write_bytes(b"PK\x03\x04 torn")
    assert last_whole_checkpoint(tmp_path) is None
