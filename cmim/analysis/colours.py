"""Colours that all figures share, so that one thing looks alike in all of them."""

# Text and lines, what stands back, and lines behind the data.
INK, MUTED, PALE, GRID = "#1f2933", "#7b8794", "#9aa5b1", "#e4e7eb"
# What the figure is about, and what it is compared with or bounded by.
TEAL, ORANGE, VIOLET = "#0b5d54", "#e8731a", "#6c5ce7"
# Pale to dark as something proceeds, and values before they are smoothed.
TEALS = ("#9bd8d0", "#2a9d8f", TEAL)
GREYS = ("#c3cbd4", "#8a96a3", INK)
RAW_TEAL = "#9ccfc8"
# Lines that readers with any colour vision tell apart (Okabe and Ito, 2008).
LINES = ("#0072b2", ORANGE, "#009e73", "#cc79a7", "#56b4e9", "#8a6d00", MUTED)
