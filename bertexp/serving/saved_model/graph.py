"""What the exported graphs share: the tokenizer, the packing of word pieces, and the graphs of one answer a text or pair.

The packing is ``data/tokens/packing.py`` once more, in core operations: the trimmers of tensorflow-text are not in TF-Serving.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras

from bertexp.data.tokens.fast_bert import make_fast_bert
from bertexp.interfaces import FEATURES, SPECIAL_TOKENS
from bertexp.serving.spec import ServingSpec

Outputs = dict[str, tf.Tensor]  # of a served function
Signatures = dict[str, tf.types.experimental.PolymorphicFunction]


class GraphTokenizer(NamedTuple):
    """A tokenizer inside a graph, and the ids of the special pieces."""

    fast_bert: Any  # as `make_fast_bert` gives it
    pad_id: int
    unk_id: int
    cls_id: int
    sep_id: int


def make_tokenizer(vocab: Sequence[str], lowercase: bool, strip_accents: bool = True) -> GraphTokenizer:
    """The tokenizer of a vocabulary, as ``data/tokens/tokenizer.py`` has it."""
    return GraphTokenizer(make_fast_bert(vocab, lowercase, strip_accents), *map(list(vocab).index, SPECIAL_TOKENS))


def serve_texts(
    model: tf_keras.Model, tokenizer: GraphTokenizer, spec: ServingSpec, decide: Callable[[tf.Tensor], Outputs]
) -> Signatures:
    """The graphs around a model that gives one answer a text or pair.

    serving_default  text (and text_pair) <string> of any shape, flattened to N rows -> what ``decide`` makes of
                     logits <float32>[N, units]
    ids              as of ``serve_ids``
    """

    def answer(**texts: tf.Tensor) -> Outputs:
        tokens = [tokenizer.fast_bert.tokenize(text) for text in flatten(**texts)]
        if spec.long_text == "windows":
            features = pack_parts(tokens[0], spec.max_length, spec.window_overlap, tokenizer)
        else:
            features = pack_tokens(tokens, spec.max_length, tokenizer, spec.long_text)
        return decide(tf.cast(model(features, training=False), tf.float32))

    @tf.function(input_signature=[strings_spec("text")])
    def serve_text(text: tf.Tensor) -> Outputs:
        return answer(text=text)

    @tf.function(input_signature=[strings_spec("text"), strings_spec("text_pair")])
    def serve_pair(text: tf.Tensor, text_pair: tf.Tensor) -> Outputs:
        return answer(text=text, text_pair=text_pair)

    return {"serving_default": serve_pair if spec.has_pair else serve_text, "ids": serve_ids(model)}


def serve_ids(model: tf_keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """The graph from input_word_ids, input_mask, input_type_ids <int32>[N, seq] to logits <float32>[N, …]."""

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32, name=name) for name in FEATURES])
    def serve(input_word_ids: tf.Tensor, input_mask: tf.Tensor, input_type_ids: tf.Tensor) -> Outputs:
        features = dict(zip(FEATURES, (input_word_ids, input_mask, input_type_ids), strict=True))
        return {"logits": tf.cast(model(features, training=False), tf.float32)}

    return serve


def strings_spec(name: str) -> tf.TensorSpec:
    """The spec of texts of any shape: requests bring [N], [N, 1] or a scalar."""
    return tf.TensorSpec(None, tf.string, name=name)


def flatten(**texts: tf.Tensor) -> list[tf.Tensor]:
    """The inputs of a graph, <string> of any shape, as <string>[N] each; the graph fails if they differ in number."""
    first, *others = (tf.reshape(text, [-1]) for text in texts.values())
    message = f"{' and '.join(texts)} must hold the same number of texts"
    equal = [tf.debugging.assert_equal(tf.size(first), tf.size(other), message) for other in others]
    with tf.control_dependencies(equal):
        return [tf.identity(text) for text in (first, *others)]


def pack_tokens(
    tokens: Sequence[tf.RaggedTensor], max_length: int, tokenizer: GraphTokenizer, long_text: str = "truncate_head"
) -> dict[str, tf.Tensor]:
    """Truncates, joins and pads as ``data/tokens/packing.py`` does.

    Args:
        tokens: one or two ragged tensors <int32>[N, (tokens)].
        long_text: which pieces of a longer text stay.

    Returns:
        input_word_ids, input_mask, input_type_ids, each <int32>[N, seq], padded to the longest row.
    """
    lengths = [text.row_lengths() for text in tokens]
    if len(tokens) == 1:
        kept = [tf.minimum(lengths[0], max_length - 2)]
    else:
        budget = max_length - 3
        kept_first = tf.minimum(lengths[0], tf.maximum(budget - lengths[1], (budget + 1) // 2))
        kept = [kept_first, tf.minimum(lengths[1], budget - kept_first)]

    texts = []
    for text, length, count in zip(tokens, lengths, kept, strict=True):
        head = _head_of(length, count, long_text)
        begins, ends = text.row_starts(), text.row_limits()
        values = text.flat_values
        texts.append([slice_rows(values, begins, begins + head), slice_rows(values, ends - (count - head), ends)])
    return join_texts(texts, tokenizer)


def join_texts(texts: Sequence[Sequence[tf.RaggedTensor]], tokenizer: GraphTokenizer) -> dict[str, tf.Tensor]:
    """The features of rows ``[CLS] first [SEP]`` or ``[CLS] first [SEP] second [SEP]``, padded to the longest.

    Args:
        texts: of each text its runs of pieces, ragged <int32>[N, (pieces)].
    """

    def column(token_id: int) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_uniform_row_length(tf.fill([texts[0][0].nrows()], token_id), 1)

    parts = [column(tokenizer.cls_id)]
    for runs in texts:
        parts += [*runs, column(tokenizer.sep_id)]
    packed = tf.concat(parts, axis=1)
    seq = tf.maximum(tf.cast(packed.bounding_shape(axis=1), tf.int32), 1 + len(texts))  # also where N is 0
    word_ids = packed.to_tensor(tokenizer.pad_id, shape=tf.stack([-1, seq]))
    mask = tf.sequence_mask(packed.row_lengths(), seq, tf.int32)
    first_segment = tf.sequence_mask(tf.add_n([run.row_lengths() for run in texts[0]]) + 2, seq, tf.int32)
    return {"input_word_ids": word_ids, "input_mask": mask, "input_type_ids": tf.maximum(mask - first_segment, 0)}


class Cuts(NamedTuple):
    """As in ``data/tokens/windows.py``, all <int64>[parts]; a text's parts follow one another."""

    rows: tf.Tensor
    starts: tf.Tensor
    counts: tf.Tensor


def cut_texts(lengths: tf.Tensor, room: tf.Tensor, overlap: int) -> Cuts:
    """Parts of at most ``room`` <int64>[N] pieces of texts of ``lengths`` <int64>[N]."""
    stride = room - overlap
    number = tf.ragged.range(1 - (-tf.maximum(lengths - room, 0) // stride))
    rows = number.value_rowids()
    starts = number.flat_values * tf.gather(stride, rows)
    return Cuts(rows, starts, tf.minimum(tf.gather(room, rows), tf.gather(lengths, rows) - starts))


def pack_parts(text: tf.RaggedTensor, max_length: int, overlap: int, tokenizer: GraphTokenizer) -> dict[str, tf.Tensor]:
    """All windows of each text, as ``data/examples/texts.py`` packs them, with ``text_of_window`` <int64>[windows]."""
    lengths = text.row_lengths()
    cuts = cut_texts(lengths, tf.fill(tf.shape(lengths), tf.constant(max_length - 2, tf.int64)), overlap)
    begins = tf.gather(text.row_starts(), cuts.rows) + cuts.starts
    features = join_texts([[slice_rows(text.flat_values, begins, begins + cuts.counts)]], tokenizer)
    return features | {"text_of_window": cuts.rows}


def slice_rows(values: tf.Tensor, begins: tf.Tensor, ends: tf.Tensor) -> tf.RaggedTensor:
    """The pieces from ``begins`` to ``ends`` (indices in ``values``, <int64>[N]) of each row."""
    indices = tf.ragged.range(begins, ends)
    return indices.with_flat_values(tf.gather(values, indices.flat_values))


def _head_of(lengths: tf.Tensor, kept: tf.Tensor, long_text: str) -> tf.Tensor:
    """How many of the kept pieces come from the head of each text, <int64>[N]."""
    if long_text == "truncate_tail":
        return tf.where(kept < lengths, tf.zeros_like(kept), kept)
    return tf.where(kept < lengths, kept // 4, kept) if long_text == "head_tail" else kept
