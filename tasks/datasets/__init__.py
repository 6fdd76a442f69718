"""Data sets, the generator of rooms, and the preparation of NYUv2.

Nothing is imported here: preparing data needs neither torch nor mmseg.
"""
