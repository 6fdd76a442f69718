"""Time of a training step, with and without the contrastive loss."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmseg.structures import SegDataSample
from torch import Tensor

from cmim.bench.benchmark import Benchmark, add_training_options
from cmim.bench.step_networks import (
    TEACHERS,
    build_methods,
    build_teachers,
    build_variants,
)
from cmim.bench.turns import time_turns
from cmim.data_parts import data_parts, named_size
from cmim.engine import cli
from cmim.engine.config import (
    ConfigError,
    load_config,
    pipelines_of,
    require_parts,
    task_model_config,
)
from cmim.engine.config_place import named_part
from cmim.task import Task, labelling_tasks
from cmim.task_model import Head, describe

VARIANTS = ("none", "latent", "teacher")


def synthetic_batch(config: Config) -> dict[str, Any]:
    """A random batch of the shape that a config trains on; needs no data set.

    Args:
        config: Gives the batch size, and the crop size in its pipeline.

    Raises:
        ConfigError: The training pipeline names no ``crop_size``.
    """
    pipelines_of(config, "train_dataloader")
    require_parts(config, "train_dataloader.batch_size")
    loader = config.train_dataloader
    parts = data_parts(config, "train_dataloader")
    sizes = [size for _, part in parts if (size := named_size(part, "crop_size"))]
    if not sizes:
        raise ConfigError("the training pipeline names no crop_size to benchmark at")
    height, width = sizes[0]
    model = task_model_config(config)
    heads = describe(model).heads
    bands = model["backbone"].get("in_channels") or 3
    tasks = _tasks_of(heads)
    generator = torch.Generator().manual_seed(0)
    inputs, samples = [], []
    for place in range(loader.batch_size):
        image = torch.randint(0, 256, (bands, height, width), generator=generator)
        inputs.append(image.to(torch.uint8))
        sample = SegDataSample(
            metainfo=dict(
                img_shape=(height, width), ori_shape=(height, width), sample_idx=place
            )
        )
        for task in tasks:
            head = heads[task.name].part if task.name in heads else {}
            truth = task.random_truth(generator, (height, width), head)
            sample.set_data({task.truth: truth})
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def _tasks_of(heads: Mapping[str, Head]) -> list[Task]:
    """Tasks of the heads, behind those whose labels a contrastive loss may ask for."""
    own = [head.kind for head in heads.values()]
    dense = [task for task in labelling_tasks() if task.channels]
    if any(task.channels for task in own):
        return [*dense, *(task for task in own if task not in dense)]
    return own


def make_step(model: BaseModel, batch: dict[str, Any], amp: bool) -> Callable[[], None]:
    """A closure that trains one step: preprocessing, forward, backward, AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    device = next(model.parameters()).device.type

    def step() -> None:
        cast = torch.autocast(device, dtype=torch.bfloat16) if amp else nullcontext()
        with cast:
            copied = dict(
                batch, data_samples=[s.clone() for s in batch["data_samples"]]
            )
            losses = model(**model.data_preprocessor(copied, True), mode="loss")
            total, _ = model.parse_losses(losses)
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()

    return step


@named_part
def bench_step(
    config: Config,
    steps: int = 15,
    amp: bool = False,
    partners: Sequence[str] = VARIANTS,
    methods: Sequence[str] = (),
    teachers: bool = False,
) -> dict[str, Any]:
    """Time training steps, the variants taking turns so that noise hits all alike.

    Args:
        config: A config of this project.
        steps: Timed rounds after two of warm-up.
        amp: bfloat16 autocast.
        partners: The partners to compare; the first is the baseline.
        methods: Compare these methods instead, without a partner.
        teachers: Compare the ways to have a teacher instead (``TEACHERS``).

    Returns:
        Per variant the median ``ms``, ``images_per_second``, and the median over rounds
        of its ``overhead`` against the first one's step in the same round. Of teachers
        also ``teacher_ms``, what the features alone take, and ``teacher_share``, that
        against the first teacher's.
    """
    batch = synthetic_batch(config)
    if teachers:
        models = build_teachers(config)
    elif methods:
        models = build_methods(config, methods)
    else:
        models = build_variants(config, partners)
    times = time_turns(
        {name: make_step(model, batch, amp) for name, model in models.items()}, steps
    )
    baseline = next(iter(times.values()))
    figures: dict[str, Any] = dict(
        batch=len(batch["inputs"]),
        image=list(batch["inputs"][0].shape[1:]),
        steps=steps,
        amp=amp,
        threads=torch.get_num_threads(),
    )
    for name, seconds in times.items():
        median = statistics.median(seconds)
        ratios = [a / b for a, b in zip(seconds, baseline, strict=True)]
        figures[name] = dict(
            ms=round(median * 1e3, 1),
            images_per_second=round(len(batch["inputs"]) / median, 1),
            overhead=round(statistics.median(ratios) - 1, 4),
        )
    if teachers:
        _add_teachers_alone(figures, models, batch, steps)
    return figures


def _add_teachers_alone(
    figures: dict[str, Any], models: dict[str, BaseModel], batch: dict, steps: int
) -> None:
    """What the teachers' features take without the rest of a step, in float32."""
    turns = {}
    for name, model in models.items():
        if model.teacher is not None:
            inputs = model.data_preprocessor(batch, True)["inputs"]
            turns[name] = _features(model, inputs)
    times = time_turns(turns, steps)
    whole = next(iter(times.values()))
    for name, seconds in times.items():
        ratios = [a / b for a, b in zip(seconds, whole, strict=True)]
        figures[name]["teacher_ms"] = round(statistics.median(seconds) * 1e3, 2)
        figures[name]["teacher_share"] = round(statistics.median(ratios), 4)


def _features(model: BaseModel, inputs: Tensor) -> Callable[[], None]:
    def features() -> None:
        model.teacher.features(inputs)
        if inputs.is_cuda:
            torch.cuda.synchronize()

    return features


def format_step(figures: dict[str, Any], names: Sequence[str]) -> str:
    """A line for each variant: partners, ways to have a teacher, or methods.

    Args:
        figures: From :func:`bench_step`.
        names: The variants.
    """
    known = {"partner": VARIANTS, "teacher": TEACHERS}
    what = next((w for w, k in known.items() if set(names) <= set(k)), "method")
    return "\n".join(
        f"{what} {name:14s} {figures[name]['ms']:8.1f} ms a step  "
        f"{figures[name]['images_per_second']:6.1f} images/s  "
        f"overhead {100 * figures[name]['overhead']:+.1f} %" + _alone(figures[name])
        for name in names
    )


def _alone(figures: dict[str, Any]) -> str:
    if "teacher_ms" not in figures:
        return ""
    return (
        f"  features alone {figures['teacher_ms']:.1f} ms, "
        f"x {figures['teacher_share']:.3f}"
    )


@named_part
def profile_step(config: Config, amp: bool, partner: str, rows: int = 15) -> str:
    """A table of the operators that one step spends its time in.

    Args:
        config: A config of this project.
        amp: bfloat16 autocast.
        partner: The variant to profile.
        rows: Operators listed.
    """
    model = build_variants(config, (partner,))[partner]
    step = make_step(model, synthetic_batch(config), amp)
    step()
    with torch.profiler.profile() as profiler:
        for _ in range(3):
            step()
    return profiler.key_averages().table(
        sort_by="self_cpu_time_total", row_limit=rows, max_name_column_width=40
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench.py step``."""
    cli.add_config_options(parser)
    parser.add_argument("--steps", type=cli.positive, default=15, help="timed rounds")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--methods",
        nargs="+",
        metavar="NAME",
        help="compare these binarization methods instead; the first is the baseline",
    )
    instead.add_argument(
        "--teachers",
        action="store_true",
        help="compare ways to have the config's teacher instead: at the picture's "
        "resolution, at half of it, and with all features kept",
    )
    add_training_options(parser)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run ``bench.py step``."""
    config = load_config(args.config, args.cfg_options)
    methods, teachers = args.methods or (), args.teachers
    figures = bench_step(
        config, args.steps, args.amp, methods=methods, teachers=teachers
    )
    names = [*TEACHERS] if teachers else methods or VARIANTS
    print(format_step(figures, names))
    if args.profile:
        print(profile_step(config, args.amp, "latent"))
    return figures


BENCH = Benchmark(
    help="training steps of a config",
    about="times training steps with the contrastive loss off, with the latent partner "
    "and with the teacher",
    add_options=add_options,
    measure=measure,
)
