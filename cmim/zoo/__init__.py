"""Trained networks inside the package, by name: small exports with their records."""
