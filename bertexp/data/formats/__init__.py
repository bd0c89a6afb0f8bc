"""Formats of files: one module each, of which `spec.py` lists those that hold rows with named columns."""
