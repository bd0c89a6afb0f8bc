"""Poolings: a file for each, which `build` makes; `spec.py` lists them."""
