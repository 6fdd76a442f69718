"""Files for Larq Compute Engine, which multiplies bits on ARM.

The engine needs packages that do not go with this project's. So it has a Python of its
own, in which ``worker.py`` runs; ``worker_process.py`` talks to it. What both read
imports NumPy alone.
"""
