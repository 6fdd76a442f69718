"""Print a script that completes the command `cmim` in a shell."""

from __future__ import annotations

import argparse

from cmim.engine import cli
from cmim.engine.completion_scripts import SHELLS


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Print a script that lets a shell complete verbs, options, their values, names "
        "of configs and files behind 'cmim'. It is the same as long as the package is: "
        "write it where the shell looks for it,\n\n"
        "  bash  ~/.local/share/bash-completion/completions/cmim\n"
        "  zsh   _cmim in a folder of $fpath\n"
        "  fish  ~/.config/fish/completions/cmim.fish",
        "python tools/completion.py bash > cmim.bash && source cmim.bash",
    )
    parser.add_argument("shell", choices=tuple(SHELLS), help="which shell")
    return parser


def run(args: argparse.Namespace) -> None:
    """Print the script."""
    from cmim.commands import load_command, verbs
    from cmim.engine.completion_table import describe_parser, table_of
    from cmim.engine.config_names import described_configs

    configs = [path.stem for path in described_configs()]
    parsers = {
        verb: describe_parser(load_command(name).build_parser(), configs)
        for verb, name in verbs().items()
    }
    print(SHELLS[args.shell](table_of(parsers)), end="")
