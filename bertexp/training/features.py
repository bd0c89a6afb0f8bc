"""What a step is given."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

Features = dict[str, tf.Tensor]
FeatureSpec = Mapping[str, tf.TensorSpec]  # with batch and sequence open: one graph for all batches
