"""The former name of :mod:`cmim.added_losses`, which saved configs still use."""

from cmim.added_losses import *  # noqa: F403
