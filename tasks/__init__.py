"""What changes with the question asked: data, heads, losses and metrics."""

import os

# albumentations asks a server for updates at import; nothing here may do so unasked.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
