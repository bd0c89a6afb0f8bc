"""GLUE (Wang et al. 2019)."""
