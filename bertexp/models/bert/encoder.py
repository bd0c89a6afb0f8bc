"""The BERT encoder: Model Garden's layers and variables, called in a faster way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from official.modeling import tf_utils
from official.nlp.modeling.networks.bert_encoder import BertEncoderV2

from bertexp.models.bert.lanes import Lane, split_batch
from bertexp.models.bert.layer import ACTIVATIONS, LayerKind, Norm, normalize, read_weights, run_layer
from bertexp.models.bert.ops import apply_mask, dense
from bertexp.models.bert.words_in_use import VocabularyInUse
from bertexp.models.source.architecture import BertArchitecture

FEATURE_NAMES = ("input_word_ids", "input_mask", "input_type_ids")
_LARGEST_SHARE_IN_USE = 0.8  # of the vocabulary, for which a table of its own is worth its copies
_EPSILON = 1e-12  # what BertEncoderV2 has built in
_INITIALIZER = tf_keras.initializers.TruncatedNormal(stddev=0.02)  # what BertEncoderV2 has by default


@tf_keras.utils.register_keras_serializable(package="bertexp")
class BertEncoder(BertEncoderV2):
    """BERT (Devlin et al. 2019) as Model Garden's BertEncoderV2, with a call of our own.

    Variables, their names, the config and the checkpoint structure are BertEncoderV2's, so checkpoints can be
    exchanged both ways. The call computes the same values with

    - layers that are calls of one graph, with one [batch * seq, hidden] matrix product per kernel (bertexp/models/bert/layer.py);
    - stateless dropout: a step is a pure function of (weights, batch, seed, step);
    - LayerNorm, softmax and GELU in float32 whatever the compute type;
    - lanes: parts of a batch side by side (bertexp/models/bert/lanes.py);
    - `output_range=1`: where only [CLS] is read, the last layer computes nothing else.
    """

    def __init__(self, layer_norm_epsilon: float = _EPSILON, **kwargs: Any):
        if kwargs.get("output_range") not in (None, 1):
            raise ValueError("output_range is None (all positions) or 1 (only [CLS])")
        super().__init__(**kwargs, autocast=False)  # the call casts for itself; frozen layers' states come in float32
        self._layer_norm_epsilon = layer_norm_epsilon
        self._vocabulary_in_use: VocabularyInUse | None = None
        self._embedding_norm_layer.epsilon = layer_norm_epsilon
        for layer in self._transformer_layers:
            layer._norm_epsilon = layer_norm_epsilon

    def get_config(self) -> dict[str, Any]:
        """BertEncoderV2's config; the epsilon is in it only where it is not the one BertEncoderV2 has."""
        extra = {} if self._layer_norm_epsilon == _EPSILON else {"layer_norm_epsilon": self._layer_norm_epsilon}
        return super().get_config() | extra

    def build(self, input_shape: Any) -> None:
        """Creates all variables, through BertEncoderV2's own call.

        The call is traced and never run: TensorFlow copies a variable at each read once a gather has read it directly.
        """
        with tf.__internal__.FuncGraph("build").as_default(), tf.name_scope(self.name):
            trace = tf.autograph.experimental.do_not_convert(BertEncoderV2.call)
            trace(self, dict.fromkeys(FEATURE_NAMES, tf.ones([1, 1], tf.int32)))
        super().build(input_shape)

    def call(
        self,
        inputs: Mapping[str, tf.Tensor],
        training: bool = False,
        dropout_seed: tf.Tensor | None = None,
        lanes: int = 1,
    ) -> dict[str, tf.Tensor]:
        """Encodes a batch.

        Args:
          inputs: input_word_ids, input_mask (1 for tokens, 0 for padding), input_type_ids: <int32>[batch, seq]; or
            input_mask and hidden_states <float32>[batch, seq, hidden], which `run_frozen` made.
          training: whether dropout is applied; frozen layers are fixed functions and have none.
          dropout_seed: <int32>[2], (run seed, step); None draws one.
          lanes: number of parts that the batch is encoded in.

        Returns:
          sequence_output <float32>[batch, seq, hidden] (seq is 1 with output_range=1) and
          pooled_output <float32>[batch, hidden].
        """
        if not training:
            dropout_seed = None
        elif dropout_seed is None:
            dropout_seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
        split = split_batch(inputs, lanes, dropout_seed)
        if "hidden_states" in inputs:
            rows = [tf.reshape(lane.inputs["hidden_states"], [-1, self.hidden_size]) for lane in split]
            first = self.frozen_depth - 1
        else:
            rows, first = [self._embed(lane, learns=not self.frozen_depth) for lane in split], 0
        x = tf.concat(self._run_layers(rows, split, first, self._num_layers), 0)
        batch = tf.shape(inputs["input_mask"])[0]
        sequence = tf.reshape(x, tf.stack([batch, -1, self.hidden_size]))
        pooled = tf.tanh(dense(self._cast(sequence[:, 0]), self._pooler_layer.kernel, self._pooler_layer.bias))
        return {"sequence_output": sequence, "pooled_output": tf.cast(pooled, tf.float32)}

    @property
    def vocabulary_in_use(self) -> VocabularyInUse | None:
        """What training reads word embeddings from in place of the table; not a part of the model."""
        return self._vocabulary_in_use

    def narrow_vocabulary(self, ids: np.ndarray) -> VocabularyInUse | None:
        """Lets training read only the rows <int>[in use] of the word embeddings; None where that saves too little."""
        table = self._embedding_layer.embeddings
        if not self._embedding_layer.trainable or len(ids) > _LARGEST_SHARE_IN_USE * table.shape[0]:
            self._vocabulary_in_use = None
        elif self._vocabulary_in_use is None or not self._vocabulary_in_use.serves(ids):
            self._vocabulary_in_use = self._no_dependency(VocabularyInUse(table, ids))
        return self._vocabulary_in_use

    def run_frozen(self, inputs: Mapping[str, tf.Tensor], lanes: int = 1) -> tf.Tensor:
        """The hidden states <float32>[batch, seq, hidden] that enter the first layer that learns, from tokens."""
        split = split_batch(inputs, lanes)
        embedded = [self._embed(lane, learns=False) for lane in split]
        x = tf.concat(self._run_layers(embedded, split, 0, self.frozen_depth - 1), 0)
        return tf.reshape(x, tf.concat([tf.shape(inputs["input_mask"]), [self.hidden_size]], 0))

    @property
    def frozen_depth(self) -> int:
        """How much of the encoder, from below, does not learn: 0 nothing, 1 the embeddings, 1 + n also n layers."""
        if any(layer.trainable for layer in self.embedding_layers):
            return 0
        learning = (number for number, layer in enumerate(self._transformer_layers) if layer.trainable)
        return 1 + next(learning, self._num_layers)

    @property
    def output_range(self) -> int | None:
        """1 where the last layer computes only [CLS], else None."""
        return self._output_range

    @output_range.setter
    def output_range(self, value: int | None) -> None:
        self._output_range = self._config["output_range"] = value

    @property
    def hidden_size(self) -> int:
        return self._config["hidden_size"]

    @property
    def embedding_layers(self) -> list[tf_keras.layers.Layer]:
        """Word, position and type embeddings and their LayerNorm."""
        tables = [self._embedding_layer, self._position_embedding_layer, self._type_embedding_layer]
        return [*tables, self._embedding_norm_layer]

    def _cast(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, self.compute_dtype)

    def _run_layers(self, rows: list[tf.Tensor], lanes: list[Lane], first: int, end: int) -> list[tf.Tensor]:
        """Layers `first` to `end`: each lane's <float32>[rows * seq, hidden] -> the same (or [rows, hidden])."""
        fixed = [lane._replace(masks=None) for lane in lanes]
        for number in range(first, end):
            layer, through = self._transformer_layers[number], fixed if number < self.frozen_depth - 1 else lanes
            only_cls = self._output_range == 1 and number == self._num_layers - 1
            kind = self._kind(layer, training=through[0].masks is not None)
            weights = read_weights(layer, only_cls, self.compute_dtype)
            rows = [
                run_layer(kind, x, lane.inputs["input_mask"], weights, self._draw_masks(lane, number, only_cls))
                for x, lane in zip(rows, through, strict=True)
            ]
        return rows

    def _kind(self, layer: tf_keras.layers.Layer, training: bool) -> LayerKind:
        activation, rates = layer._intermediate_activation_layer.activation, self._rates if training else (0.0, 0.0)
        return LayerKind(self._config["num_attention_heads"], activation, self._layer_norm_epsilon, training, *rates)

    def _draw_masks(self, lane: Lane, number: int, only_cls: bool) -> tuple[tf.Tensor, ...]:
        """The dropout masks of a layer: of its attention, of that one's output and of its own."""
        if lane.masks is None:
            return ()
        seq, site, (attention, rate) = lane.shape[1], 3 * number + 1, self._rates
        positions = 1 if only_cls else seq
        scores, width = self._config["num_attention_heads"] * positions * seq, positions * self.hidden_size
        masks = lane.draw(site, scores, attention), lane.draw(site + 1, width, rate), lane.draw(site + 2, width, rate)
        return tuple(mask for mask in masks if mask is not None)

    @property
    def _rates(self) -> tuple[float, float]:
        """Of dropout: of attention's weights, of its output and a layer's."""
        return self._config["attention_dropout"], self._config["output_dropout"]

    def _embed(self, lane: Lane, learns: bool) -> tf.Tensor:
        """<float32>[rows * seq, hidden]: the sum of the three embeddings, normalized."""
        # Both are read first. A variable that is gathered from itself is copied at each later read; a slice of one ties
        # it to the graph in a cycle that Python cannot free.
        inputs, lane = lane.inputs, lane if learns else lane._replace(masks=None)
        if lane.masks is not None and self.vocabulary_in_use is not None:
            words = self.vocabulary_in_use.gather(inputs["input_word_ids"])
        else:
            words = tf.gather(tf.convert_to_tensor(self._embedding_layer.embeddings), inputs["input_word_ids"])
        positions = tf.convert_to_tensor(self._position_embedding_layer._position_embeddings)[: lane.shape[1]]
        # A product with one-hot rows, for its gradient is dense and cheap.
        types = tf.one_hot(inputs["input_type_ids"], self._config["type_vocab_size"], dtype=self.compute_dtype)
        types = tf.matmul(types, self._cast(self._type_embedding_layer.embeddings))
        embedded, norm = self._cast(words) + types + self._cast(positions), self._embedding_norm_layer
        x = tf.reshape(embedded, [-1, self.hidden_size])
        x = normalize(x, Norm(norm.gamma, norm.beta), norm.epsilon, training=lane.masks is not None)
        _, rate = self._rates
        return apply_mask(x, lane.draw(0, lane.shape[1] * self.hidden_size, rate), rate)


def make_encoder(architecture: BertArchitecture, seed: int | None, output_range: int | None = None) -> BertEncoder:
    """Builds an encoder with weights drawn as BERT's: normal (0.02, cut at two deviations), biases 0, LayerNorm 1.

    Args:
      architecture: sizes and constants.
      seed: the same seed gives the same weights on any device. None: no weights are drawn, for others will be loaded.
      output_range: 1 to compute only [CLS] in the last layer.
    """
    encoder = BertEncoder(
        vocab_size=architecture.vocab_size,
        hidden_size=architecture.hidden_size,
        num_layers=architecture.num_layers,
        num_attention_heads=architecture.num_heads,
        inner_dim=architecture.intermediate_size,
        max_sequence_length=architecture.max_positions,
        type_vocab_size=architecture.type_vocab_size,
        inner_activation=ACTIVATIONS[architecture.activation],
        layer_norm_epsilon=architecture.layer_norm_epsilon,
        output_dropout=architecture.hidden_dropout,
        attention_dropout=architecture.attention_dropout,
        output_range=output_range,
        initializer="zeros",  # Keras would draw weights that are replaced below or by loaded ones
        name="encoder",
    )
    encoder._config["initializer"] = tf_utils.serialize_initializer(_INITIALIZER, use_legacy_format=True)
    encoder.build(None)
    if seed is None:
        return encoder
    with tf.device("CPU:0"):
        for number, variable in enumerate(encoder.trainable_variables):
            if variable.name.endswith(("kernel:0", "embeddings:0")):
                variable.assign(tf.random.stateless_truncated_normal(variable.shape, [seed, number], stddev=0.02))
    return encoder
