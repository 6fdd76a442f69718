"""What is raised for a config that cannot be used."""


class ConfigError(ValueError):
    """A config or an override that cannot be what was meant.

    The message is one sentence that names the file, the key, what was given and what
    is accepted.
    """
