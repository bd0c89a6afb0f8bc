"""TensorFlow is imported once for this folder."""

from bertexp import environment

environment.prepare()
