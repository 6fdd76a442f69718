"""Many runs from one short file: planned, run side by side, recorded, compared."""
