"""Trained networks with real 1-bit convolutions, outside of torch."""
