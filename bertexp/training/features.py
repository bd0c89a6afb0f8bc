"""What a step is given."""

from __future__ import annotations

import tensorflow as tf

Features = dict[str, tf.Tensor]
FEATURES = {name: tf.TensorSpec([None, None], tf.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")}
