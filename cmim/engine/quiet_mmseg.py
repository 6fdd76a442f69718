"""Imports mmseg's data sets first, and silently.

They print that an optional package is missing, on stdout, where tools print answers.
"""

from contextlib import redirect_stdout
from io import StringIO

with redirect_stdout(StringIO()):
    import mmseg.datasets  # noqa: F401
