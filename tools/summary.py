"""Show what a config's network costs, layer by layer."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    from cmim.engine import cli

    parser = cli.make_parser(
        "Show the network of a config layer by layer: output shape, bits of weights "
        "(W) and of activations (A), stored values, memory, multiply-accumulates by "
        "precision; and the totals. OPs = BOPs / 64 + FLOPs, FLOPs being "
        "multiply-accumulates of convolutions and linear layers, as published counts "
        "have it. Needs no data and no weights.",
        "python tools/summary.py configs/imagenet_resnet18_bireal.py",
    )
    cli.add_config_options(parser)
    parser.add_argument(
        "--size",
        nargs=2,
        type=cli.positive,
        metavar=("HEIGHT", "WIDTH"),
        help="image in pixels (default: the config's test images)",
    )
    parser.add_argument(
        "--every", action="store_true", help="list batch-norms and scales too"
    )
    cli.add_json_option(parser)
    args = parser.parse_args()

    from cmim.engine.config import load_config
    from cmim.engine.record import write_json
    from cmim.engine.summary import as_table, one_sentence, summarize

    summary = summarize(
        load_config(args.config, args.cfg_options), args.size and tuple(args.size)
    )
    print(as_table(summary, args.every))
    print(one_sentence(summary))
    if args.json:
        write_json(args.json, summary)


if __name__ == "__main__":
    from cmim.engine.run_tool import run_tool

    run_tool(main)
