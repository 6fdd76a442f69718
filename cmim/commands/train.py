"""Train a config."""

from __future__ import annotations

import argparse

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Train a config, evaluate it on the test split at the end, and leave config, "
        "seed, versions, last checkpoint and metrics in the run's folder.",
        "python tools/train.py configs/nyud_seg_bireal_small.py --amp auto "
        "--cfg-options data_root=data/nyuv2 model.partner=latent",
    )
    cli.add_config_options(parser)
    parser.add_argument(
        "--work-dir",
        type=cli.output_folder,
        help="run's folder (default work_dirs/CONFIG)",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--resume", action="store_true", help="continue the run in its folder"
    )
    start.add_argument(
        "--overwrite", action="store_true", help="start afresh in a folder with a run"
    )
    parser.add_argument("--seed", type=cli.seed, help="seed of the run (default 0)")
    _add_machine_options(parser)
    parser.add_argument(
        "--tensorboard", action="store_true", help="write TensorBoard scalars"
    )
    parser.add_argument(
        "--record-flips",
        type=cli.positive,
        metavar="N",
        help="record every N steps how many binary weights changed their sign "
        "(flips.json in the run's folder; tools/analyze.py draws it)",
    )
    parser.add_argument("--no-test", action="store_true", help="skip the final test")
    cli.add_json_option(parser)
    return parser


def _add_machine_options(parser: argparse.ArgumentParser) -> None:
    """Precision and processes: how the machine is used."""
    parser.add_argument(
        "--amp",
        nargs="?",
        const="bfloat16",
        choices=("bfloat16", "float16", "auto"),
        help="mixed precision: bfloat16 (default; on a CPU without bfloat16 "
        "instructions, most desktops and laptops, four times slower than without "
        "--amp), float16 on GPUs, or auto: bfloat16 where the device has it, else "
        "float32",
    )
    parser.add_argument(
        "--launcher",
        default="none",
        choices=("none", "pytorch", "slurm", "mpi"),
        help="how several processes were started (torchrun: pytorch)",
    )


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from mmengine.dist import is_main_process

    from cmim.engine.config import load_config
    from cmim.engine.record import one_name, write_json
    from cmim.engine.train import prepare_training, train

    config = prepare_training(
        load_config(args.config, args.cfg_options),
        work_dir=args.work_dir,
        resume=args.resume,
        seed=args.seed,
        amp=args.amp,
        launcher=args.launcher,
        overwrite=args.overwrite,
        record_flips=args.record_flips,
    )
    if args.tensorboard:
        config.visualizer = dict(
            type="Visualizer", vis_backends=[dict(type="TensorboardVisBackend")]
        )
    figures = train(config, final_test=not args.no_test)
    if not is_main_process():
        return
    if args.json:
        write_json(args.json, figures)
    test = figures.pop("test", {})
    network = one_name(figures.pop("network"))
    print(f"{config.work_dir}: {network}  {cli.one_line(figures)}")
    if test:
        print(f"test: {cli.one_line(test)}")
