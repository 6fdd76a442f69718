"""How much of the ground truth a figure is of."""

from __future__ import annotations

import logging

from mmengine.logging import print_log

#: Below this share a figure is not that of the data set.
LOW_SHARE = 0.95


def measured_share(measured: float, known: float, left_out: str) -> float:
    """Share of the known pixels that were measured; a low one is said.

    Args:
        measured: Pixels that the figures are made of.
        known: Pixels with ground truth.
        left_out: Which pixels were left out and what to do, to complete the sentence.

    Returns:
        A fraction in (0, 1].

    Raises:
        ValueError: Nothing was measured, so that there is no figure.

    Examples:
        >>> measured_share(3, 3, "none")
        1.0
        >>> measured_share(0, 4, "depth beyond 10 m counts nowhere")
        Traceback (most recent call last):
        ValueError: nothing was measured, of 4 pixels with ground truth: depth ...
    """
    if not measured:
        raise ValueError(
            f"nothing was measured, of {known:.0f} pixels with ground truth: "
            + (left_out if known else "the test data have none; check their files")
        )
    share = measured / known
    if share < LOW_SHARE:
        print_log(
            f"only {100 * share:.1f} % of the pixels with ground truth were measured: "
            f"{left_out}",
            logger="current",
            level=logging.WARNING,
        )
    return share
