"""Where weights lie, and what can be known of them without TensorFlow."""
