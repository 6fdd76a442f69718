"""Colours that all figures share, so that one thing looks alike in all of them."""

# Text and lines, what stands back, and lines behind the data.
INK, MUTED, PALE, GRID = "#1f2933", "#7b8794", "#9aa5b1", "#e4e7eb"
# What the figure is about, and what it is compared with or bounded by.
TEAL, ORANGE, VIOLET = "#0b5d54", "#e8731a", "#6c5ce7"
