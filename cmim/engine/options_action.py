"""``--cfg-options NAME=VALUE ...``, with a sentence for what is no such pair."""

from __future__ import annotations

import argparse
from typing import Any

from mmengine.config import DictAction


class OptionsAction(DictAction):
    """mmengine's action, which refuses what it cannot read.

    Of a name that is given twice the last value counts, as scripts rely on.

    Examples:
        >>> parser = argparse.ArgumentParser()
        >>> _ = parser.add_argument("--o", nargs="+", action=OptionsAction)
        >>> parser.parse_args(["--o", "a.b=1", "c=(2,3)"]).o
        {'a.b': 1, 'c': (2, 3)}
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Check and parse; ends the program as argparse does where a pair is wrong."""
        for pair in values or ():
            name, equals, value = pair.partition("=")
            if not equals or not name or "" in name.split("."):
                raise argparse.ArgumentError(
                    self,
                    f"{pair!r} is no NAME=VALUE, such as train_cfg.max_iters=200; give "
                    "files in front of --cfg-options, which takes all that follow",
                )
            if any(value.count(a) != value.count(b) for a, b in ("()", "[]")):
                raise argparse.ArgumentError(
                    self, f"the brackets of {pair!r} do not match; quote the pair"
                )
        super().__call__(parser, namespace, values, option_string)
