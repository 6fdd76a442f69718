"""Every formula exactly once, in pure torch."""
