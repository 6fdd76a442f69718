"""What can stand at each place of a command line, read from its parser.

Imports the standard library only.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Words:
    """What a verb, or a part of one, takes.

    Args:
        options: All of them, in the order of the help.
        values: Options behind which anything stands that a shell cannot know.
        choices: What stands behind an option that has choices.
        names: What its first word may be, beside files: configs or choices.
        parts: What its own verbs take, by name (``bench latency``).
    """

    options: list[str]
    values: list[str]
    choices: dict[str, list[str]]
    names: list[str]
    parts: dict[str, Words] = field(default_factory=dict)


def describe_parser(parser: argparse.ArgumentParser, configs: Sequence[str]) -> Words:
    """Read what a command line takes.

    Args:
        parser: Of a command.
        configs: Names of configs, for a positional called ``config``.

    Examples:
        >>> parser = argparse.ArgumentParser(add_help=False)
        >>> _ = parser.add_argument("config")
        >>> _ = parser.add_argument("--amp", choices=["bfloat16", "auto"])
        >>> _ = parser.add_argument("--out")
        >>> words = describe_parser(parser, ["rooms_seg"])
        >>> words.options, words.values, words.names
        (['--amp', '--out'], ['--out'], ['rooms_seg'])
        >>> words.choices
        {'--amp': ['bfloat16', 'auto']}
    """
    words = Words(options=[], values=[], choices={}, names=[])
    for action in parser._actions:
        choices = [str(choice) for choice in action.choices or ()]
        words.options.extend(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            words.parts.update(
                (name, describe_parser(part, configs))
                for name, part in action.choices.items()
            )
        elif not action.option_strings and not words.names:
            words.names.extend(configs if action.dest == "config" else choices)
        elif choices:
            words.choices.update(dict.fromkeys(action.option_strings, choices))
        elif action.nargs != 0:
            words.values.extend(action.option_strings)
    return words


def table_of(verbs: Mapping[str, Words]) -> dict[str, list[str]]:
    """What a shell looks up: ``KIND PATH`` or ``choices PATH OPTION`` to words.

    Args:
        verbs: By name.

    Examples:
        >>> train = Words(["--amp", "--out"], ["--out"], {"--amp": ["auto"]}, [])
        >>> for place, words in table_of({"train": train}).items():
        ...     print(repr(place), words)
        'parts' ['train']
        'options train' ['--amp', '--out']
        'values train' ['--out']
        'choices train --amp' ['auto']
    """
    table = {"parts": list(verbs)}
    for name, words in verbs.items():
        _fill(table, name, words)
    return table


def _fill(table: dict[str, list[str]], path: str, words: Words) -> None:
    table[f"parts {path}"] = list(words.parts)
    table[f"options {path}"] = words.options
    table[f"values {path}"] = words.values
    table[f"names {path}"] = words.names
    for option, choices in words.choices.items():
        table[f"choices {path} {option}"] = choices
    for name, part in words.parts.items():
        _fill(table, f"{path} {name}", part)
    for place in [place for place, found in table.items() if not found]:
        del table[place]
