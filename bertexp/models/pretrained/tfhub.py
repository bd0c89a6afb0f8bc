"""Weights from a TF-Hub SavedModel."""
