"""Changes that pile up on any method: a module with ``ADDITION`` is an addition."""
