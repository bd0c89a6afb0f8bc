"""BERT as a function of its named weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from bertexp.models.bert.lanes import Lane, split_batch
from bertexp.models.bert.layer import LayerKind, Norm, join_heads, joined_name, normalize, pick_layer, run_layer
from bertexp.models.bert.ops import apply_mask, dense

WORDS = "bert/embeddings/word_embeddings"
Weights = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class BertKind:
    """What two BERTs may differ in, beside their weights."""

    num_layers: int
    num_heads: int
    activation: str  # a name in layer.ACTIVATIONS
    epsilon: float  # of LayerNorm
    dropout: float  # rate after the embeddings, the attention and the layers
    attention_dropout: float  # rate of the attention's weights

    def of_layer(self, training: bool) -> LayerKind:
        """What the graph of one layer depends on."""
        rates = (self.attention_dropout, self.dropout) if training else (0.0, 0.0)
        return LayerKind(self.num_heads, self.activation, self.epsilon, training, *rates)


def run_bert(
    kind: BertKind,
    weights: Weights,
    inputs: Mapping[str, tf.Tensor],
    seed: tf.Tensor | None = None,
    frozen_depth: int = 0,
    only_cls: bool = False,
    lanes: int = 1,
) -> dict[str, tf.Tensor]:
    """BERT (Devlin et al. 2019), equal to Model Garden's BertEncoderV2 on the same weights.

    - Each layer is a call of one graph, with one [batch * seq, hidden] matrix product per kernel (layer.py).
    - Dropout is stateless: the outputs are a pure function of (weights, batch, seed). Frozen layers have none.
    - LayerNorm, softmax and GELU are computed in float32, products in the type of the kernels.

    Args:
      kind: of the BERT.
      weights: by the names of google-research/bert and in its shapes: kernels <float>[inputs, outputs] and biases in
        the type that products are computed in, tables and LayerNorms <float32>.
      inputs: input_word_ids, input_mask (1 for tokens, 0 for padding), input_type_ids: <int32>[batch, seq]; or
        input_mask and hidden_states <float32>[batch, seq, hidden], which `run_frozen` made.
      seed: of dropout, <int32>[2], (run seed, step); None drops nothing.
      frozen_depth: how much from below is a fixed function: 0 nothing, 1 the embeddings, 1 + n also n layers.
      only_cls: whether the last layer computes nothing but [CLS].
      lanes: number of parts that the batch is encoded in.

    Returns:
      sequence_output <float32>[batch, seq, hidden] (seq is 1 with `only_cls`) and pooled_output <float32>[batch, hidden].
    """
    split, hidden = split_batch(inputs, lanes, seed), weights[WORDS].shape[1]
    if "hidden_states" in inputs:
        rows, first = [tf.reshape(lane.inputs["hidden_states"], [-1, hidden]) for lane in split], frozen_depth - 1
    else:
        rows, first = [_embed(kind, weights, _fixed_below(lane, frozen_depth)) for lane in split], 0
    for number in range(first, kind.num_layers):
        through = [_fixed_below(lane, frozen_depth - 1 - number) for lane in split]
        rows = _run_layer(kind, weights, number, rows, through, only_cls and number == kind.num_layers - 1)
    sequence = tf.reshape(tf.concat(rows, 0), tf.stack([tf.shape(inputs["input_mask"])[0], -1, hidden]))
    kernel, bias = (weights[f"bert/pooler/dense/{name}"] for name in ("kernel", "bias"))
    pooled = tf.tanh(dense(tf.cast(sequence[:, 0], kernel.dtype), kernel, bias))
    return {"sequence_output": sequence, "pooled_output": tf.cast(pooled, tf.float32)}


def run_frozen(
    kind: BertKind, weights: Weights, inputs: Mapping[str, tf.Tensor], frozen_depth: int, lanes: int = 1
) -> tf.Tensor:
    """The hidden states <float32>[batch, seq, hidden] that enter the first layer that learns, from tokens."""
    split = split_batch(inputs, lanes)
    rows = [_embed(kind, weights, lane) for lane in split]
    for number in range(frozen_depth - 1):
        rows = _run_layer(kind, weights, number, rows, split, only_cls=False)
    return tf.reshape(tf.concat(rows, 0), tf.concat([tf.shape(inputs["input_mask"]), [rows[0].shape[1]]], 0))


def join_attention(kind: BertKind, weights: Weights, only_cls: bool) -> dict[str, tf.Tensor]:
    """Query, key and value of each layer joined, by their names (`joined_name`).

    The last layer keeps them apart if [CLS] alone attends in it.
    """
    joined = {}
    for number in range(kind.num_layers - only_cls):
        dense_layer = join_heads(weights, number, kind.num_heads)
        joined |= {f"{joined_name(number)}/{name}": weight for name, weight in dense_layer._asdict().items()}
    return joined


def _fixed_below(lane: Lane, depth: int) -> Lane:
    """The lane without dropout masks if what it goes through is a fixed function, which a positive depth says."""
    return lane._replace(masks=None) if depth > 0 else lane


def _embed(kind: BertKind, weights: Weights, lane: Lane) -> tf.Tensor:
    """<float32>[rows * seq, hidden]: the sum of the three embeddings, normalized."""
    dtype = weights["bert/pooler/dense/kernel"].dtype
    embedded = tf.cast(tf.gather(weights[WORDS], lane.inputs["input_word_ids"]), dtype)
    types = weights.get("bert/embeddings/token_type_embeddings")
    if types is not None:  # a product with one-hot rows, for its gradient is dense and cheap
        chosen = tf.one_hot(lane.inputs["input_type_ids"], types.shape[0], dtype=dtype)
        embedded += tf.matmul(chosen, tf.cast(types, dtype))
    embedded += tf.cast(weights["bert/embeddings/position_embeddings"][: lane.shape[1]], dtype)
    norm = Norm(*(weights[f"bert/embeddings/LayerNorm/{name}"] for name in Norm._fields))
    x = tf.reshape(embedded, [-1, weights[WORDS].shape[1]])
    x = normalize(x, norm, kind.epsilon, training=lane.masks is not None)
    return apply_mask(x, lane.draw(0, lane.shape[1] * x.shape[1], kind.dropout), kind.dropout)


def _run_layer(
    kind: BertKind, weights: Weights, number: int, rows: list[tf.Tensor], lanes: list[Lane], only_cls: bool
) -> list[tf.Tensor]:
    """A layer's outputs of each lane: <float32>[rows * seq, hidden] -> the same, or [rows, hidden] with `only_cls`."""
    graph = kind.of_layer(training=lanes[0].masks is not None)
    own = pick_layer(weights, number, kind.num_heads, only_cls)
    return [
        run_layer(graph, x, lane.inputs["input_mask"], own, _draw_masks(kind, lane, number, only_cls, x.shape[1]))
        for x, lane in zip(rows, lanes, strict=True)
    ]


def _draw_masks(kind: BertKind, lane: Lane, number: int, only_cls: bool, hidden: int) -> tuple[tf.Tensor, ...]:
    """The dropout masks of a layer: of its attention, of that one's output and of its own."""
    if lane.masks is None:
        return ()
    seq, site = lane.shape[1], 3 * number + 1
    positions = 1 if only_cls else seq
    scores, width = kind.num_heads * positions * seq, positions * hidden
    rates = (kind.attention_dropout, kind.dropout, kind.dropout)
    drawn = [
        lane.draw(site + n, size, rate)
        for n, (size, rate) in enumerate(zip((scores, width, width), rates, strict=True))
    ]
    return tuple(mask for mask in drawn if mask is not None)
