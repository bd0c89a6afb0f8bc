"""Poolings: a file for each, which `spec.py` lists and builds."""
