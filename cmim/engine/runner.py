"""mmengine's runner with safe, atomic checkpoints and exact resumption."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import get_world_size, is_distributed, master_only
from mmengine.hooks import EarlyStoppingHook
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from cmim.checkpoint import (
    CheckpointError,
    check_structure,
    load_strictly,
    read_checkpoint,
)
from cmim.engine.config import task_model_config
from cmim.engine.config_classes import check_read_classes
from cmim.engine.joined_batch_norm import join_batch_norms
from cmim.engine.meeting import join_processes
from cmim.engine.precision import precision_of, warning_of
from cmim.engine.quiet_libraries import quiet_console
from cmim.engine.run_names import own_time
from cmim.hooks import StopWhenDiverged
from cmim.identity import check_identity, identity_of
from cmim.whole_output import part_of

RESUMABLE = ("last.pth", "previous.pth")


class CMIMRunner(Runner):
    """A runner whose checkpoints are written whole or not at all.

    Checkpoints hold tensors and plain values only, so they load with
    ``weights_only=True``. Everything that a step depends on is in them: weights, loss
    state, optimizer, schedules, the step number and the seed (the random state of a
    step is a function of these two, see :class:`cmim.hooks.SeedSteps`).
    """

    # What mmengine names a run after.
    _timestamp: str

    def setup_env(self, env_cfg: dict) -> None:
        """As in mmengine, which joins processes on GPUs only and waits half an hour.

        Runs that start in the same second have names of their own.
        """
        if self.distributed and not is_distributed():
            join_processes(self.launcher, env_cfg.get("dist_cfg", {}))
        super().setup_env(env_cfg)
        self._timestamp = own_time(self._timestamp)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """As in mmengine; its own news go into the log file alone."""
        logger = super().build_logger(*args, **kwargs)
        quiet_console(logger)
        return logger

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """As in mmengine, and distributed training on CPUs."""
        if self.distributed and not torch.cuda.is_available():
            if self.cfg.get("sync_bn"):
                join_batch_norms(model)
            unused = self.cfg.get("find_unused_parameters", False)
            return MMDistributedDataParallel(
                module=model, broadcast_buffers=False, find_unused_parameters=unused
            )
        return super().wrap_model(model_wrapper_cfg, model)

    def _log_env(self, env_cfg: dict) -> None:
        """One line: config, versions and seed lie in the run's folder as files."""
        device, precision = get_device(), precision_of(self.cfg)
        said = f"{self.work_dir}: seed {self.seed}, device {device}, {precision}"
        processes = get_world_size()
        if processes > 1:
            own = self.cfg.train_dataloader.batch_size
            said += f", a batch of {processes} processes x {own} images"
        self.logger.info(said)
        warning = warning_of(precision, device)
        if warning:
            self.logger.warning(warning)

    def dump_config(self) -> None:
        """Nothing: :func:`cmim.engine.train.train` has written it, laid out."""

    def register_hooks(self, *args: Any, **kwargs: Any) -> None:
        """As in mmengine, and no run goes on once its loss is not finite."""
        super().register_hooks(*args, **kwargs)
        if not any(isinstance(hook, StopWhenDiverged) for hook in self.hooks):
            self.register_hook(StopWhenDiverged())
        if any(type(hook) is EarlyStoppingHook for hook in self.hooks):
            raise ValueError(
                "EarlyStoppingHook may stop on the test split and forgets what it saw "
                "when a run is resumed: put StopEarly in its place"
            )

    def build_train_loop(self, loop: Any) -> Any:
        """As in mmengine, and the classes of the data are those of the model."""
        built = super().build_train_loop(loop)
        self._check_classes(train_dataloader=built)
        return built

    def build_val_loop(self, loop: Any) -> Any:
        """Likewise."""
        built = super().build_val_loop(loop)
        self._check_classes(train_dataloader=self._train_loop, val_dataloader=built)
        return built

    def _check_classes(self, **loops: Any) -> None:
        read = {
            name: loop.dataloader.dataset
            for name, loop in loops.items()
            if hasattr(loop, "dataloader")
        }
        if self.cfg.get("model"):
            check_read_classes(read, task_model_config(self.cfg))

    def get_hooks_info(self) -> str:
        """Names of the hooks in order, on one line."""
        return ", ".join(type(hook).__name__ for hook in self.hooks)

    @master_only
    def save_checkpoint(self, out_dir: str, filename: str, **kwargs: Any) -> None:
        """Write under a temporary name, then rename; see mmengine for the arguments."""
        target = Path(out_dir) / filename
        temporary = part_of(target)
        try:
            super().save_checkpoint(str(temporary.parent), temporary.name, **kwargs)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except OSError:
            # On a full disk what was cut short would stay in the way.
            temporary.unlink(missing_ok=True)
            raise

    def load_checkpoint(
        self, filename: str, *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """Read safely and load strictly.

        A run that goes on must answer what it answered. One that starts from a file
        (``load_from``) may learn other classes of the same number, say.

        Args:
            filename: Local path; nothing is fetched.
            args: Ignored: mmengine's device mapping (weights are copied to where the
                model is).
            kwargs: Ignored likewise.

        Raises:
            CheckpointError: Damaged, unsafe or of another model.
            ValueError: A run to go on with is of another task.
        """
        checkpoint = read_checkpoint(filename)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        if self._resume:
            self._check_conditions(checkpoint.get("meta", {}), filename)
        if self._resume and self.cfg.get("model"):
            saved = checkpoint.get("identity")
            check_identity(identity_of(self.cfg), saved, filename)
        check_structure(model, checkpoint, filename)
        # A hook may choose among several weights in the file: EMA's takes back the
        # trained ones where it goes on with them.
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        load_strictly(model, checkpoint["state_dict"], filename)
        self._has_loaded = True
        self.logger.info(f"Loaded checkpoint {filename}")
        return checkpoint

    def _check_conditions(self, meta: dict[str, Any], filename: str) -> None:
        """Refuse to go on with other data or another number of processes."""
        images = len(self.train_dataloader.dataset)
        for what, before, now in (
            ("training images", meta.get("train_images", images), images),
            ("processes", meta.get("world_size", self.world_size), self.world_size),
        ):
            if before != now:
                raise CheckpointError(
                    f"'{filename}' was trained with {before} {what}, not {now}: "
                    f"resume with {before}, or start another run with --work-dir or "
                    "--overwrite"
                )

    def load_or_resume(self) -> None:
        """Resume from the last whole checkpoint of the run's folder, if asked to."""
        if self._has_loaded or not self._resume:
            return super().load_or_resume()
        whole = last_whole_checkpoint(self.work_dir)
        if whole is None:
            self.logger.info(f"Nothing to resume in {self.work_dir}: starting afresh")
            return None
        if whole.name == "previous.pth":
            self._keep_damaged()
        self.resume(str(whole))
        return None

    @master_only
    def _keep_damaged(self) -> None:
        """Move a damaged ``last.pth`` away: the next checkpoint would push it over
        ``previous.pth``, the only whole one."""
        last = Path(self.work_dir) / "last.pth"
        if last.exists():
            os.replace(last, last.with_name("damaged.pth"))
            self.logger.warning(
                f"{last} cannot be resumed from and lies in damaged.pth now: "
                "continuing from previous.pth"
            )


def last_whole_checkpoint(folder: str | Path) -> Path | None:
    """The newest checkpoint of a run that can be read, or None.

    Training keeps ``last.pth`` and, until that is surely on disk, ``previous.pth``.

    Args:
        folder: A run's folder.
    """
    for name in RESUMABLE:
        path = Path(folder) / name
        try:
            if "optimizer" in read_checkpoint(path):
                return path
        except CheckpointError:
            continue
    return None
