"""Weights from a Google checkpoint."""
