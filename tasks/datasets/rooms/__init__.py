"""Procedural rooms: generated frames with exact ground truth."""
