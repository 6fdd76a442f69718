"""Measure costs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    from cmim.engine import cli

    parser = cli.make_parser(
        "Measure costs on this machine. 'step' times training steps with the "
        "contrastive loss off, with the latent partner and with the teacher, taking "
        "turns in one run, on random data.",
        "python tools/bench.py step configs/nyud_seg_bireal_small.py --amp --profile",
    )
    parser.add_argument("what", choices=("step",), help="what to measure")
    cli.add_config_options(parser)
    parser.add_argument("--steps", type=int, default=15, help="timed rounds")
    parser.add_argument("--amp", action="store_true", help="bfloat16 autocast")
    parser.add_argument("--threads", type=int, help="CPU threads of torch")
    parser.add_argument(
        "--profile", action="store_true", help="also list the costliest operators"
    )
    cli.add_json_option(parser)
    args = parser.parse_args()

    import torch

    from cmim.engine.bench_step import bench_step, profile_step
    from cmim.engine.config import load_config
    from cmim.engine.record import write_json

    if args.threads:
        torch.set_num_threads(args.threads)
    config = load_config(args.config, args.cfg_options)
    figures = bench_step(config, steps=args.steps, amp=args.amp)
    for name in ("none", "latent", "teacher"):
        row = figures[name]
        print(
            f"partner {name:8s} {row['ms']:8.1f} ms a step  "
            f"{row['images_per_second']:6.1f} images/s  "
            f"overhead {100 * row['overhead']:+.1f} %"
        )
    if args.profile:
        print(profile_step(config, args.amp, "latent"))
    if args.json:
        write_json(args.json, figures)


if __name__ == "__main__":
    from cmim.engine.cli import run_tool

    run_tool(main)
