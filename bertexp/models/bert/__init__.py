"""BERT as a function of its weights."""
