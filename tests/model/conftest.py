"""TensorFlow is imported once for this folder."""

from bertexp.system import devices

devices.prepare()
