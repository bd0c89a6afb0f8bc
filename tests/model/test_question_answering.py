"""Question answering: examples, loss, answers, and the export that answers as Python does."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tf_keras

from bertexp.data.questions import QuestionExamples
from bertexp.data.tokens import Tokenizer
from bertexp.serving.export import ServingSpec
from bertexp.serving.signatures import make_signatures
from bertexp.tasks.question_answering import QuestionAnswering

LETTERS = "abcdefgh"
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{letter}" for letter in LETTERS), "…", ".", "zoe", "北"]
ANSWERS = pa.list_(pa.struct([("text", pa.string()), ("start", pa.int32())]))
WORDS = ["ab", "Cab", "ZOË", "h", "😀", "北", "g…", "fade.", "e\u0301"]


class SpanModel(tf_keras.Model):
    """Random logits for every position, from its piece, its neighbours, its segment and its place."""

    def __init__(self):
        super().__init__()
        tf_keras.utils.set_random_seed(3)
        self.words = tf_keras.layers.Embedding(len(VOCAB), 8, embeddings_initializer="random_normal")
        self.around = tf_keras.layers.Conv1D(8, 5, padding="same", activation="tanh")
        self.head = tf_keras.layers.Dense(2)
        self({name: tf.ones([1, 3], tf.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")})
        for variable in self.variables:
            variable.assign(tf.random.normal(variable.shape))

    def call(self, features, training=False):
        mask = tf.cast(features["input_mask"], tf.float32)[..., tf.newaxis]
        hidden = self.words(features["input_word_ids"]) * mask
        hidden += tf.cast(features["input_type_ids"], tf.float32)[..., tf.newaxis]
        return self.head(self.around(hidden)) * 2


def random_table(rows: int, answerable: float = 0.8) -> pa.Table:
    generator = np.random.default_rng(rows)
    contexts = [" ".join(generator.choice(WORDS, n)) for n in (1, 5, 12, 40, 90, 200)]
    found = []
    for row in range(rows):
        context = contexts[row % len(contexts)]
        words = context.split(" ")
        first = generator.integers(len(words))
        answer = " ".join(words[first : first + generator.integers(1, 4)])
        start = len(" ".join(words[:first])) + (first > 0)
        found.append(
            {
                "text": " ".join(generator.choice(WORDS, generator.integers(1, 30))),
                "text_pair": context,
                "label": [{"text": answer, "start": start}] if generator.random() < answerable else [],
            }
        )
    return pa.Table.from_pylist(
        found, pa.schema([("text", pa.string()), ("text_pair", pa.string()), ("label", ANSWERS)])
    )


def make_examples(table: pa.Table, max_length: int = 40, overlap: int = 10) -> QuestionExamples:
    tokenizer = Tokenizer(VOCAB, True)
    texts = table["text_pair"].combine_chunks().dictionary_encode()
    questions, contexts = tokenizer.encode(table["text"]), tokenizer.encode_placed(texts.dictionary)
    return QuestionExamples(table, questions, contexts, texts, tokenizer, max_length, overlap)


def run(model: SpanModel, examples: QuestionExamples) -> np.ndarray:
    """Logits of all examples in batches of eight, padded to the widest as the trainer's evaluation does."""
    width = int(examples.lengths.max())
    found = []
    for places in np.array_split(np.arange(len(examples.lengths)), -(-len(examples.lengths) // 8)):
        logits = model(examples.pack(places)[0]).numpy()
        found.append(np.pad(logits, [(0, 0), (0, max(0, width - logits.shape[1])), (0, 0)])[:, :width])
    return np.concatenate(found)


def test_labels_point_at_the_pieces_that_spell_the_answer():
    table = random_table(60, answerable=1.0)
    examples = make_examples(table)
    features, labels = examples.pack(np.arange(len(examples.lengths)))
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels[:, 2], features["input_mask"].sum(1))
    np.testing.assert_array_equal(labels[:, 2], examples.lengths)
    held = set()
    for place, window in enumerate(examples.truth(np.arange(len(labels)))):
        start, end, _ = labels[place]
        assert (window.row, window.start, window.end) == (examples.source_rows[place], start, end)
        if start:
            content = window.context.encode()
            begin_byte, end_byte = window.begins[start - window.first], window.ends[end - window.first]
            assert content[begin_byte:end_byte].decode() == window.answers[0]
            held.add(window.row)
        else:
            assert end == 0
    assert held == set(range(60))  # answers are shorter than the overlap


def test_the_loss_is_the_mean_cross_entropy_over_real_positions_and_learns():
    task = QuestionAnswering()
    logits = tf.random.normal([5, 9, 2], seed=1)
    labels = tf.constant([[2, 3, 9], [0, 0, 4], [1, 1, 2], [4, 4, 6], [3, 5, 7]])
    expected = []
    for row, (start, end, length) in zip(logits.numpy(), labels.numpy(), strict=True):
        likely = row[:length] - np.log(np.exp(row[:length]).sum(0))
        expected.append(-(likely[start, 0] + likely[end, 1]) / 2)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = task.loss(labels, logits)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    gradient = tape.gradient(losses, logits).numpy()
    assert np.isfinite(gradient).all()
    assert not gradient[1, 4:].any()
    assert task.weights(labels).numpy().tolist() == [1.0] * 5
    right = np.zeros([5, 9, 2], np.float32)
    for row, (start, end, _) in enumerate(labels.numpy()):
        right[row, start, 0] = right[row, end, 1] = 9.0
    right[3, 8] = 99.0  # padding does not count
    assert task.score(labels, tf.constant(right)).numpy().tolist() == [1.0] * 5
    assert task.score(labels, tf.constant(right[:, ::-1])).numpy().sum() < 5


def test_logits_that_name_every_answer_are_judged_perfect():
    table = random_table(60, answerable=0.7)
    examples = make_examples(table)
    places = np.arange(len(examples.lengths))
    truth, (_, labels) = examples.truth(places), examples.pack(places)
    logits = np.zeros([len(places), int(examples.lengths.max()), 2], np.float32)
    logits[places, labels[:, 0], 0] = logits[places, labels[:, 1], 1] = 30.0
    task = QuestionAnswering(null_answers=True)
    found = task.metrics(truth, logits)
    assert (found["f1"], found["exact_match"]) == (1.0, 1.0)
    assert found["loss"] < 1e-6
    answers = task.choose(truth, logits)
    gold = [label[0]["text"] if label else "" for label in table["label"].to_pylist()]
    assert answers.rows.tolist() == list(range(60))
    assert answers.texts == gold
    assert min(answers.scores) > 0.99
    always = QuestionAnswering().metrics(truth, logits)
    assert always["exact_match"] == pytest.approx(np.mean([bool(text) for text in gold]))


@pytest.mark.parametrize("null_answers", [False, True])
def test_the_exported_graph_answers_as_python_does_whatever_the_length(null_answers):
    table, model = random_table(90), SpanModel()
    examples = make_examples(table)
    assert np.bincount(examples.source_rows).max() > 5
    task = QuestionAnswering(max_answer_length=4, null_answers=null_answers)
    expected = task.choose(examples.truth(np.arange(len(examples.lengths))), run(model, examples))
    spec = ServingSpec(
        *((), 40, True, "question_answering"), window_overlap=10, max_answer_length=4, null_answers=null_answers
    )
    serve = make_signatures(model, VOCAB, True, spec)["serving_default"]
    found = serve(tf.constant(table["text"].to_pylist()), tf.constant(table["text_pair"].to_pylist()))
    assert [answer.decode() for answer in found["answer"].numpy()] == expected.texts
    np.testing.assert_array_equal(found["start"], expected.starts)
    np.testing.assert_array_equal(found["end"], expected.ends)
    np.testing.assert_allclose(found["score"], expected.scores, rtol=1e-4)
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        "answer": tf.string,
        "score": tf.float32,
        "start": tf.int64,
        "end": tf.int64,
    }
    assert (0 < sum(not text for text in expected.texts) < 90) == null_answers
    for question, context in ((["ab"], [""]), ([""], [" \n"]), ([], [])):
        nothing = serve(tf.constant(question, tf.string), tf.constant(context, tf.string))
        assert nothing["answer"].numpy().tolist() == [b""] * len(question)
        assert (nothing["start"].numpy() == nothing["end"].numpy()).all()
