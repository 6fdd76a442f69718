"""The one exception that data preparation raises for files it cannot use."""


class DataError(ValueError):
    """A data file is missing, damaged or not what its name promises.

    The message is one sentence that names the file, what was found, what is
    expected and what to do, so that a tool can print it as it stands.

    Examples:
        >>> raise DataError("splits.mat: not found; download it")
        Traceback (most recent call last):
        tasks.datasets.errors.DataError: splits.mat: not found; download it
    """
