"""Train a config and leave a complete record of the run."""

from __future__ import annotations

import gc
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.model import BaseModel, is_model_wrapper

from cmim.checkpoint import load_strictly, read_checkpoint
from cmim.engine import image_sums
from cmim.engine.coming_pictures import require_pictures_that_come_again
from cmim.engine.config import ConfigError, require_parts, task_model_config
from cmim.engine.config_loops import check_loops, check_optimizer
from cmim.engine.config_place import named_part
from cmim.engine.continuation import check_continuation
from cmim.engine.earlier_run import check_steps_and_seed, find_earlier
from cmim.engine.evaluate import evaluate
from cmim.engine.image_sums import write_sums
from cmim.engine.loader_options import fit_loaders
from cmim.engine.precision import precision_of, set_precision
from cmim.engine.record import (
    RunFigures,
    RunRecord,
    network_of,
    peak_memory_gb,
    versions,
    write_json,
)
from cmim.engine.run_folder import holds_run, leads, locked, set_aside
from cmim.engine.runner import CMIMRunner
from cmim.engine.steps import check_loop, fit_schedules
from cmim.hooks import RecordTiming, RecordTrace
from cmim.identity import identity_of
from cmim.json_file import read_json
from cmim.models import CMIM
from cmim.whole_output import write_whole


@named_part
def train(
    config: Config,
    final_test: bool = True,
    on_prediction: Callable[[Any], object] | None = None,
) -> RunFigures:
    """Train, then evaluate once on the test loader.

    The run's folder (``config.work_dir``) gets the config, ``run.json`` (command, seed,
    versions), ``last.pth``, logs, ``metrics.json`` (final metrics and costs) and
    ``sums.npz`` (of each test image, see :mod:`cmim.engine.image_sums`). Where the run
    does not continue the one that lies there, that one's files move into
    ``previous_run_N`` first.

    Args:
        config: A complete config, see :func:`prepare_training`.
        final_test: Evaluate on the test loader at the end.
        on_prediction: Called with every data sample that is predicted then.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        ConfigError: Another run is using the folder.
        DivergedError: A loss, gradient or weight is not finite; ``last.pth`` stays.
        ValueError: A figure of the final test is not finite.
    """
    folder = Path(config.work_dir)
    if not leads(config.get("launcher", "none")):
        return _train(config, folder, final_test, on_prediction)
    with locked(folder):
        commands = [*_earlier_commands(folder, config), shlex.join(sys.argv)]
        if not config.get("resume"):
            set_aside(folder)
        record = RunRecord(
            commands=commands,
            config=str(config.filename),
            seed=config.randomness.seed,
            precision=precision_of(config),
            device=get_device(),
            threads=torch.get_num_threads(),
            versions=versions(),
        )
        # Before anything that takes long: what is killed then is known by it.
        _dump_config(config, folder)
        write_json(folder / "run.json", record)
        return _train(config, folder, final_test, on_prediction, record)


def _train(
    config: Config,
    folder: Path,
    final_test: bool,
    on_prediction: Callable[[Any], object] | None,
    record: RunRecord | None = None,
) -> RunFigures:
    """The run itself, in each process; the leading one has the record."""
    runner = CMIMRunner.from_cfg(config)
    if record is not None:
        write_json(
            folder / "run.json",
            {**record, "seed": runner.seed, "world_size": runner.world_size},
        )
    _check_teacher(runner, config)
    runner.register_hook(RecordTrace())
    runner.train()
    _end_workers(runner)
    network = network_of(task_model_config(config))
    figures = RunFigures(network=network, seed=runner.seed, steps=runner.iter)
    for hook in runner.hooks:
        if isinstance(hook, RecordTiming):
            figures.update(hook.figures())
    if final_test and config.get("test_dataloader") is not None:
        figures["test"] = evaluate(
            _final_model(runner, folder),
            config,
            on_prediction,
            on_sums=lambda sums: write_sums(folder / image_sums.FILE, sums),
        )
    figures["peak_memory_gb"] = peak_memory_gb()
    if torch.cuda.is_available():
        gpu_bytes = torch.cuda.max_memory_allocated()
        figures["peak_gpu_memory_gb"] = round(gpu_bytes / 1e9, 2)
    if is_main_process():
        write_json(folder / "metrics.json", figures)
    return figures


def _check_teacher(runner: CMIMRunner, config: Config) -> None:
    """The model cannot know its teacher's classes and pictures: the config does."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if isinstance(model, CMIM):
        model.check_teacher(identity_of(config))
        if model.teacher is not None and model.teacher.cache is not None:
            require_pictures_that_come_again(config)


def _final_model(runner: CMIMRunner, folder: Path) -> BaseModel:
    """The model with the weights that ``last.pth`` hands out.

    Those need not be the last step's: an averaging hook (EMA) saves the averages. This
    run wrote it, so its identity is not compared.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    barrier()
    last = folder / "last.pth"
    if last.is_file():
        load_strictly(model, read_checkpoint(last)["state_dict"], last)
    return model.eval()


def _dump_config(config: Config, folder: Path) -> None:
    """The config as text that people read, whole or not at all."""
    text = Config(config.to_dict(), format_python_code=True).pretty_text
    write_whole(folder / Path(config.filename).name, text)


def _end_workers(runner: CMIMRunner) -> None:
    """End the training loader's processes: their caches are not needed any more.

    Only ended processes are counted in the peak memory.
    """
    runner.train_loop.dataloader_iterator = None
    runner.train_dataloader._iterator = None
    gc.collect()


@named_part
def prepare_training(
    config: Config,
    work_dir: str | None = None,
    resume: bool = False,
    seed: int | None = None,
    amp: str | None = None,
    launcher: str = "none",
    overwrite: bool = False,
    record_flips: int | None = None,
) -> Config:
    """Complete a config with what the command line says.

    Args:
        config: As read by :func:`cmim.engine.config.load_config`.
        work_dir: The run's folder; ``work_dirs/CONFIG`` when None.
        resume: Continue from the last whole checkpoint in the run's folder.
        seed: Seed of everything random; the config's own, else 0, when None.
        amp: ``'bfloat16'`` (any device), ``'float16'`` (GPU, with loss scaling),
            ``'auto'`` (bfloat16 where the device has it, else what the config says)
            or None for what the config says.
        launcher: As in mmengine: ``'none'``, ``'pytorch'``, ``'slurm'``, ``'mpi'``. The
            batch of a step is ``train_dataloader.batch_size`` times the number of
            processes, and the learning rate, which is not scaled, belongs to it.
        overwrite: Start afresh in a folder that holds a run; its files move into
            ``previous_run_N`` there.
        record_flips: Steps between records of changed weight signs; None for none.

    Raises:
        ConfigError: Unknown precision, float16 without a GPU, an interval below 1, a
            loop or schedule that counts epochs, a folder that holds a run already, or
            a resumed run with anything else that changes its result.
        CheckpointError: None of the run's checkpoints can be read.
    """
    require_parts(config, "model", "train_cfg", "optim_wrapper.optimizer")
    require_parts(config, "train_dataloader.dataset")
    check_loops(config)
    check_optimizer(config)
    name = Path(config.filename).stem
    config.work_dir = work_dir or config.get("work_dir") or f"work_dirs/{name}"
    config.resume = resume
    config.launcher = launcher
    check_loop(config)
    earlier = find_earlier(config.work_dir) if resume else None
    if earlier is not None:
        seed = check_steps_and_seed(config, earlier, seed)
    elif holds_run(config.work_dir) and not (overwrite and not resume):
        raise ConfigError(_occupied(config.work_dir, resume))
    randomness = dict(config.get("randomness") or {})
    chosen = seed if seed is not None else randomness.get("seed")
    config.randomness = {**randomness, "seed": 0 if chosen is None else chosen}
    if amp is not None:
        set_precision(config, amp, get_device())
    if record_flips is not None:
        _add_flips(config, record_flips)
    fit_schedules(config)
    fit_loaders(config)
    if not torch.cuda.is_available():
        env = config.get("env_cfg", {})
        # NCCL works on GPUs only.
        gloo = {**env.get("dist_cfg", {}), "backend": "gloo"}
        config.env_cfg = {**env, "dist_cfg": gloo}
    if earlier is not None and earlier.text:
        check_continuation(config, earlier.text, earlier.source)
    return config


def _occupied(folder: str, resume: bool) -> str:
    if resume:
        return (
            f"'{folder}' holds results of a run, but no checkpoint: nothing to "
            "resume; choose another folder with --work-dir, or start afresh with "
            "--overwrite"
        )
    return (
        f"'{folder}' holds a run already; continue it with --resume, choose another "
        "folder with --work-dir, or start afresh with --overwrite"
    )


def _add_flips(config: Config, interval: int) -> None:
    if interval < 1:
        raise ConfigError(f"--record-flips must be at least 1 step, got {interval}")
    hook = dict(type="cmim.hooks.record_flips.RecordFlips", interval=interval)
    config.custom_hooks = [*config.get("custom_hooks", []), hook]


def _earlier_commands(folder: Path, config: Config) -> list[str]:
    """Commands that brought a resumed run to where it is, the first one first."""
    record = folder / "run.json"
    if not config.get("resume") or not record.is_file():
        return []
    return list(read_json(record).get("commands", []))
