"""Optimizers: a file for each, which `build` makes from the config; `spec.py` lists them."""
