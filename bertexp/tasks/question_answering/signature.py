"""Answers from raw text: windows, encoder and the choice of a span in one graph.

``serving_default``: question and context <string> of any shape, flattened to N rows -> answer <string>[N] (a part of
its context; "" for no answer), score <float32>[N] (probability of its start and end in the window that shows it),
start and end <int64>[N] (bytes of the context).

The windows are those of ``data/tokens/windows.py`` and the choice that of ``tasks/question_answering/task.py``, in graph
operations; tests hold them together.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from bertexp.serving.saved_model import graph
from bertexp.serving.saved_model.graph import GraphTokenizer, Outputs, Signatures, slice_rows, strings_spec
from bertexp.serving.spec import ServingSpec

QUESTION_PIECES = 64  # as in data/tokens/windows.py


def make_signatures(model: tf_keras.Model, tokenizer: GraphTokenizer, spec: ServingSpec) -> Signatures:
    """The two ways into the exported model: ``serving_default`` and ``ids``."""
    room, overlap = spec.max_length - 3, spec.window_overlap  # for the pieces of question and context

    @tf.function(input_signature=[strings_spec("question"), strings_spec("context")])
    def serve(question: tf.Tensor, context: tf.Tensor) -> Outputs:
        question, context = graph.flatten(question=question, context=context)
        questions = tokenizer.fast_bert.tokenize(question)
        contexts, begins, ends = tokenizer.fast_bert.tokenize_with_offsets(context)
        kept = tf.minimum(questions.row_lengths(), min(QUESTION_PIECES, (room - overlap) // 2))
        windows = graph.cut_texts(contexts.row_lengths(), room - kept, overlap)
        shown = tf.gather(kept, windows.rows)  # pieces of the question in each window
        context_starts = tf.gather(contexts.row_starts(), windows.rows) + windows.starts
        question_starts = tf.gather(questions.row_starts(), windows.rows)
        question_pieces = slice_rows(questions.flat_values, question_starts, question_starts + shown)
        context_pieces = slice_rows(contexts.flat_values, context_starts, context_starts + windows.counts)
        features = graph.join_texts([[question_pieces], [context_pieces]], tokenizer)
        logits = tf.cast(model(features, training=False), tf.float32)
        start, end, score, null = best_spans(logits, shown + 2, windows.counts, spec.task.max_answer_length)
        chosen = best_windows(windows.rows, score, tf.size(question))
        score = tf.gather(score, chosen)
        given = tf.math.is_finite(score)
        if spec.task.null_answers:
            null = tf.math.segment_min(null, windows.rows)  # "not here", said by every window
            given &= null <= score
            score = tf.where(given, score, null)
        shift = context_starts - shown - 2  # from a position to an index among all pieces
        begin, end = (
            tf.where(given, _gather(indices, tf.gather(position + shift, chosen)), 0)
            for indices, position in ((begins.flat_values, start), (whole_characters(begins, ends), end))
        )
        answer = tf.strings.substr(context, begin, end - begin)
        return {"answer": answer, "score": tf.exp(score), "start": begin, "end": end}

    return {"serving_default": serve, "ids": graph.serve_ids(model)}


def whole_characters(begins: tf.RaggedTensor, ends: tf.RaggedTensor) -> tf.Tensor:
    """Ends <int64>[pieces] where all pieces that begin in one character end with it, as in ``data/tokens/tokenizer.py``."""
    rows, begin = begins.value_rowids(), begins.flat_values
    anew = tf.cast((begin[1:] != begin[:-1]) | (rows[1:] != rows[:-1]), tf.int64)
    character = tf.cumsum(tf.concat([tf.zeros_like(begin[:1]), anew], axis=0))
    return tf.gather(tf.math.segment_max(ends.flat_values, character), character)


def best_spans(
    logits: tf.Tensor, firsts: tf.Tensor, counts: tf.Tensor, max_answer_length: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Start and end position <int64>[windows], log probability of both, and that of [CLS], <float32>[windows].

    Arguments as of ``answers.best_spans``, in tensors.
    """
    seq = tf.shape(logits)[1]
    after = firsts + counts
    nowhere = tf.constant(float("-inf"))
    real = tf.sequence_mask(after + 1, seq)[:, :, tf.newaxis]
    likely = tf.nn.log_softmax(tf.where(real, logits, nowhere), axis=1)
    context = tf.sequence_mask(after, seq) & ~tf.sequence_mask(firsts, seq)
    starts, ends = (tf.where(context, likely[:, :, i], nowhere) for i in (0, 1))
    padded = tf.pad(ends, [[0, 0], [0, max_answer_length - 1]], constant_values=nowhere)
    reachable = tf.gather(padded, tf.range(seq)[:, tf.newaxis] + tf.range(max_answer_length), axis=1)
    totals = starts + tf.reduce_max(reachable, axis=2)  # of the best end for each start
    start = tf.argmax(totals, axis=1)
    end = start + tf.argmax(tf.gather(reachable, start, batch_dims=1), axis=1)
    return start, end, tf.reduce_max(totals, axis=1), tf.reduce_sum(likely[:, 0], axis=1)


def best_windows(rows: tf.Tensor, scores: tf.Tensor, n_rows: tf.Tensor) -> tf.Tensor:
    """<int64>[n_rows]: the window of the highest score of each row, the first one of equals."""
    highest = tf.gather(tf.math.segment_max(scores, rows), rows)
    candidates = tf.where(scores == highest)[:, 0]
    return tf.math.unsorted_segment_min(candidates, tf.gather(rows, candidates), n_rows)


def _gather(values: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """``values`` <int>[n] at the indices that are among them; any value where they are not (a context without pieces)."""
    return tf.gather(tf.pad(values, [[0, 1]]), tf.clip_by_value(indices, 0, tf.size(values, tf.int64)))
