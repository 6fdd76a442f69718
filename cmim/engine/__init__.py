"""Running an experiment: config, runner, records, command line."""

import cmim.safe_loading  # noqa: F401
