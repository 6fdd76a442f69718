"""Train a config and leave a complete record of the run."""

from __future__ import annotations

import gc
import shlex
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper

from cmim.checkpoint import read_checkpoint
from cmim.engine.config import ConfigError, require_parts, task_model_config
from cmim.engine.config_loops import check_loops, check_optimizer
from cmim.engine.config_place import named_part
from cmim.engine.evaluate import evaluate
from cmim.engine.precision import precision_of, set_precision
from cmim.engine.record import network_of, peak_memory_gb, versions, write_json
from cmim.engine.runner import CMIMRunner, last_whole_checkpoint
from cmim.hooks import RecordTiming
from cmim.json_file import read_json


@named_part
def train(config: Config, final_test: bool = True) -> dict[str, Any]:
    """Train, then evaluate once on the test loader.

    The run's folder (``config.work_dir``) gets the config, ``run.json`` (command, seed,
    versions), ``last.pth``, logs, and ``metrics.json`` (final metrics and costs).

    Args:
        config: A complete config, see :func:`prepare_training`.
        final_test: Evaluate on the test loader at the end.

    Returns:
        What ``metrics.json`` holds.
    """
    folder = Path(config.work_dir)
    runner = CMIMRunner.from_cfg(config)
    if is_main_process():
        write_json(
            folder / "run.json",
            dict(
                commands=[*_earlier_commands(folder, config), shlex.join(sys.argv)],
                config=str(config.filename),
                seed=runner.seed,
                precision=precision_of(config),
                device=get_device(),
                threads=torch.get_num_threads(),
                world_size=runner.world_size,
                versions=versions(),
            ),
        )
    runner.train()
    _end_workers(runner)
    network = network_of(task_model_config(config))
    figures: dict[str, Any] = dict(network=network, seed=runner.seed, steps=runner.iter)
    for hook in runner.hooks:
        if isinstance(hook, RecordTiming):
            figures.update(hook.figures())
    if final_test and config.get("test_dataloader") is not None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.eval()
        figures["test"] = evaluate(model, config)
    figures["peak_memory_gb"] = peak_memory_gb()
    if torch.cuda.is_available():
        gpu_bytes = torch.cuda.max_memory_allocated()
        figures["peak_gpu_memory_gb"] = round(gpu_bytes / 1e9, 2)
    if is_main_process():
        write_json(folder / "metrics.json", figures)
    return figures


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
        launcher: As in mmengine: ``'none'``, ``'pytorch'``, ``'slurm'``, ``'mpi'``.
        overwrite: Start afresh in a folder that holds a run.
        record_flips: Steps between records of changed weight signs; None for none.

    Raises:
        ConfigError: Unknown precision, float16 without a GPU, an interval below 1, a
            folder that holds a run already, or a resumed run with another seed or
            number of steps.
    """
    require_parts(config, "model", "train_cfg", "optim_wrapper.optimizer")
    require_parts(config, "train_dataloader.dataset")
    check_loops(config)
    check_optimizer(config)
    name = Path(config.filename).stem
    config.work_dir = work_dir or config.get("work_dir") or f"work_dirs/{name}"
    config.resume = resume
    config.launcher = launcher
    earlier = last_whole_checkpoint(config.work_dir)
    if earlier is not None and resume:
        seed = _check_resumption(config, earlier, seed)
    elif earlier is not None and not overwrite:
        raise ConfigError(
            f"'{config.work_dir}' holds a run already; continue it with --resume, "
            "choose another folder with --work-dir, or start afresh with --overwrite"
        )
    randomness = dict(config.get("randomness") or {})
    chosen = seed if seed is not None else randomness.get("seed")
    config.randomness = {**randomness, "seed": 0 if chosen is None else chosen}
    if amp is not None:
        set_precision(config, amp, get_device())
    if record_flips is not None:
        _add_flips(config, record_flips)
    _fit_schedules(config)
    if not torch.cuda.is_available():
        # torch's SyncBatchNorm and NCCL work on GPUs only.
        config.pop("sync_bn", None)
        config.env_cfg = {**config.get("env_cfg", {}), "dist_cfg": {"backend": "gloo"}}
    return config


def _add_flips(config: Config, interval: int) -> None:
    if interval < 1:
        raise ConfigError(f"--record-flips must be at least 1 step, got {interval}")
    hook = dict(type="cmim.hooks.record_flips.RecordFlips", interval=interval)
    config.custom_hooks = [*config.get("custom_hooks", []), hook]


def _check_resumption(config: Config, earlier: Path, seed: int | None) -> int | None:
    """The seed of the run to continue; refuses what would make it another run."""
    meta = read_checkpoint(earlier)["meta"]
    if seed is not None and seed != meta["seed"]:
        raise ConfigError(
            f"'{earlier}' was trained with seed {meta['seed']}, not {seed}; leave "
            "--seed out to continue it"
        )
    steps = meta.get("max_iters", config.train_cfg.max_iters)
    if steps != config.train_cfg.max_iters:
        raise ConfigError(
            f"'{earlier}' was started for {steps} steps, not "
            f"{config.train_cfg.max_iters}: its schedule would not fit; resume with "
            f"train_cfg.max_iters={steps}, or start another run"
        )
    return meta["seed"]


def _earlier_commands(folder: Path, config: Config) -> list[str]:
    """Commands that brought a resumed run to where it is, the first one first."""
    record = folder / "run.json"
    if not config.get("resume") or not record.is_file():
        return []
    return list(read_json(record).get("commands", []))


def _fit_schedules(config: Config) -> None:
    """Let schedules without an end run to the last step.

    ``train_cfg.max_iters=...`` alone then shortens a run, decay included; a run that
    ends within its warm-up has no decay.
    """
    steps = config.train_cfg.max_iters
    schedulers = config.get("param_scheduler") or []
    kept = [s for s in schedulers if "end" in s or s.get("begin", 0) < steps]
    for scheduler in kept:
        scheduler.setdefault("end", steps)
    config.param_scheduler = kept
