"""Questions, contexts and a tiny model of start and end, for tests of question answering."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tf_keras

from bertexp.config.schema import DatasetConfig
from bertexp.data.examples.module import DataModule
from bertexp.data.table import TextDataset
from bertexp.data.tokens.tokenizer import Tokenizer
from bertexp.serving.spec import ServingSpec
from bertexp.tasks.question_answering.answers import Choice, choose_answers, cut_bytes
from bertexp.tasks.question_answering.examples import QuestionExamples
from bertexp.tasks.question_answering.task import QuestionAnswering

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

    def call(self, features, training=False, dropout_seed=None):
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
    dataset = TextDataset("squad", "question_answering", {"train": table}, (), True, "f" * 16, {}, "x.json")
    config = DatasetConfig(max_length=max_length, window_overlap=overlap)
    return DataModule(dataset, Tokenizer(VOCAB, True), config).examples("train")


def run(model: SpanModel, examples: QuestionExamples) -> np.ndarray:
    """Logits of all examples in batches of eight, padded to the widest as the trainer's evaluation does."""
    width = int(examples.lengths.max())
    found = []
    for places in np.array_split(np.arange(len(examples.lengths)), -(-len(examples.lengths) // 8)):
        logits = model(examples.pack(places)[0]).numpy()
        found.append(np.pad(logits, [(0, 0), (0, max(0, width - logits.shape[1])), (0, 0)])[:, :width])
    return np.concatenate(found)


def choose(task: QuestionAnswering, examples: QuestionExamples, logits: np.ndarray) -> tuple[Choice, list[str]]:
    """The answers to all questions, and their texts."""
    truth = examples.truth(np.arange(len(examples.lengths)))
    choice = choose_answers(task.find(truth, logits), task.null_answers)
    contexts = [truth[window].context for window in choice.windows]
    return choice, list(map(cut_bytes, contexts, choice.starts.tolist(), choice.ends.tolist()))


def make_spec(null_answers: bool = False) -> ServingSpec:
    """Of the windows that ``make_examples`` cuts by default."""
    return ServingSpec(QuestionAnswering(4, null_answers), 40, True, window_overlap=10)
