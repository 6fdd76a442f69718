"""Benchmarks: what steps, layers, losses and exported networks cost."""
