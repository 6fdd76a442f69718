"""List the trained networks that come with the package."""

from __future__ import annotations

import argparse

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "List the trained networks that lie in the package. tools/predict.py and "
        "tools/test.py take such a name, as their first word, in place of CONFIG and "
        "CHECKPOINT.",
        "python tools/zoo.py",
    )
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.engine.record import write_json
    from cmim.zoo.entries import entries

    known = entries()
    if not known:
        print("no trained network lies in this version of the package")
    for name, entry in known.items():
        entry.check()
        size = sum(file.stat().st_size for file in entry.folder.glob("network.*"))
        figures = ", ".join(f"{key} {value:g}" for key, value in entry.figures.items())
        print(f"{name}: {entry.about} ({size / 1e6:.2f} MB; {figures})")
    if args.json:
        write_json(args.json, {n: dict(e.figures) for n, e in known.items()})
