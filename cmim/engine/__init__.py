"""Running an experiment: config, runner, records, command line."""

from contextlib import suppress

# Where mmengine or torch is missing there is no reader to make safe: the tool says so.
with suppress(ModuleNotFoundError):
    import cmim.safe_loading  # noqa: F401
