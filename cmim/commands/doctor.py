"""Say what this machine can do, what will be slow, and what is broken."""

from __future__ import annotations

import argparse
import sys

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Look at this machine: what the processor and the installed engine support, "
        "which\n1-bit kernel it takes, whether --amp helps, versions of packages and "
        "what is missing,\nthreads, memory, data; then say what will be slow here and "
        "why. Asks no network and\nchanges nothing. Exits with 1 where something that "
        "is needed or installed is broken.",
        "python tools/doctor.py\n  python tools/doctor.py --json doctor.json",
    )
    parser.add_argument(
        "--no-timing", action="store_true", help="time no layers, which takes seconds"
    )
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the findings; status 1 where something is broken."""
    import json

    from cmim.commands import as_verbs
    from cmim.doctor.examine import examine
    from cmim.doctor.report import format_findings
    from cmim.whole_output import write_whole

    found = examine(timing=not args.no_timing)
    text = format_findings(found)
    print(as_verbs(text) if sys.argv[0].startswith("cmim ") else text)
    if args.json:
        write_whole(args.json, json.dumps(found, indent=2) + "\n")
    return int(bool(found["broken"]))
