"""What changes with the question asked: data, heads, losses and metrics."""

# Nothing below may look up names unasked, as albumentations does at import.
from cmim.guards import guard_process

guard_process()
