"""A disk that is full costs no checkpoint of before, and is named with the file."""

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cmim.engine.sentences import sentence_of
from cmim.hooks import SaveCheckpoint


class Run(SimpleNamespace):
    """As much of a runner as the hook needs, on a disk of ``room`` bytes."""

    def save_checkpoint(self, folder: str, name: str, **options) -> None:
        text = f"step {self.iter}".encode()
        Path(folder, name).write_bytes(text[: self.room])
        if len(text) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")


def make_run(folder: Path) -> Run:
    hub = SimpleNamespace(runtime_info={}, update_info=lambda *_: None)
    optimizer = SimpleNamespace(param_groups=[])
    return Run(
        work_dir=str(folder), room=100, rank=0, epoch=0, iter=1, message_hub=hub,
        model=torch.nn.Linear(1, 1), optim_wrapper=optimizer, hooks=[],
        logger=SimpleNamespace(info=lambda _: None),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["last.pth", "best.pth"])
def test_a_full_disk_costs_nothing_of_before(tmp_path, name):
    run, hook = make_run(tmp_path), SaveCheckpoint(best="mIoU")

    def validate(run: Run) -> None:
        hook.after_val_epoch(run, {"mIoU": float(run.iter)})

    hook.save(run, run.iter + 1)
    validate(run)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"last.pth", "best.pth"}
    run.room, run.iter = 3, 2

    def write(run: Run) -> None:
        hook.save(run, run.iter + 1)

    save = write if name == "last.pth" else validate
    with pytest.raises(OSError, match="No space left") as caught:
        save(run)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    said = sentence_of(caught.value)
    new = tmp_path / "new.pth"
    assert said.startswith(f"'{new}': no space left on device; free space on that disk")
