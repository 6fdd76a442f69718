"""Running an experiment: config, runner, records, command line."""
