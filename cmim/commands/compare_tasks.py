"""Compare a joint run with single-task runs."""

from __future__ import annotations

import argparse

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Compare a run of several tasks with runs of one task each: the relative gain "
        "of each task's figure (positive is better, whatever the figure's direction), "
        "their mean Delta_m, and time and memory. Figures: mIoU, rmse, mean_angle, "
        "ods, top1. Minutes depend on what else the machine did; --time-steps measures "
        "training steps side by side.",
        "python tools/compare_tasks.py work_dirs/nyud_joint_bireal_small "
        "work_dirs/nyud_seg_bireal_small work_dirs/nyud_depth_bireal_small "
        "work_dirs/nyud_normals_bireal_small",
    )
    parser.add_argument("joint", help="folder of the joint run")
    parser.add_argument("singles", nargs="+", help="folders of single-task runs")
    parser.add_argument(
        "--time-steps",
        type=cli.positive,
        metavar="ROUNDS",
        help="also time training steps of the runs' configs, in turns, on random data",
    )
    parser.add_argument(
        "--threads", type=cli.positive, help="CPU threads of torch for that"
    )
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.engine.record import write_json
    from tasks.multitask.comparison import as_table, compare, read_run, run_config

    found = compare(read_run(args.joint), [read_run(single) for single in args.singles])
    print(as_table(found))
    if args.time_steps:
        import torch

        from cmim.bench.joint import bench_joint, format_joint
        from cmim.engine.config import load_config

        if args.threads:
            torch.set_num_threads(args.threads)
        runs = {f: load_config(run_config(f)) for f in (args.joint, *args.singles)}
        found["step"] = bench_joint(runs, args.time_steps)
        print(format_joint(found["step"]))
    if args.json:
        write_json(args.json, found)
