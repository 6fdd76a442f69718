"""What became of each layer of a converted network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ConvertedRow:
    """A layer that multiplies.

    Attributes:
        name: In the network.
        kind: Class of the layer it was.
        shape: Of its weights.
        became: Class of its binary layer; empty where it stayed.
        why: Why it stayed; empty where it did not.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    became: str
    why: str


def format_rows(rows: Sequence[ConvertedRow]) -> str:
    """The rows as a table, with a line of totals.

    Args:
        rows: From :func:`cmim.convert.convert`.

    Examples:
        >>> print(format_rows([ConvertedRow("fc", "Linear", (2, 8), "", "last layer")]))
        layer  kind    weights  became
        fc     Linear  2x8      full precision: last layer
        0 of 1 layers are binary, 0 of 16 weights (0.0 %)
    """
    lines = [("layer", "kind", "weights", "became")]
    for row in rows:
        became = row.became or f"full precision: {row.why}"
        lines.append((row.name, row.kind, "x".join(map(str, row.shape)), became))
    widths = [max(len(line[k]) for line in lines) for k in range(3)]
    text = [
        "  ".join(
            [*(c.ljust(w) for c, w in zip(line, widths, strict=False)), line[3]]
        ).rstrip()
        for line in lines
    ]
    binary = [row for row in rows if row.became]
    total, ones = (sum(map(_weights, part)) for part in (rows, binary))
    share = 100 * ones / total if total else 0.0
    text.append(
        f"{len(binary)} of {len(rows)} layers are binary, {ones:,} of {total:,} "
        f"weights ({share:.1f} %)"
    )
    return "\n".join(text)


def _weights(row: ConvertedRow) -> int:
    count = 1
    for size in row.shape:
        count *= size
    return count
