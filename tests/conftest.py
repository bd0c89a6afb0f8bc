"""Finds the package from a checkout."""
