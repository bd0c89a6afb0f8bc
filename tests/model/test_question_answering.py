"""Question answering: examples, loss, answers, and a fit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tiny_questions import VOCAB, SpanModel, choose, make_examples, random_table
from toy import measure

from bertexp.config.schema import DatasetConfig, TrainerConfig
from bertexp.data.examples import FrozenExamples
from bertexp.data.examples.activations import Activations
from bertexp.data.examples.module import DataModule
from bertexp.data.table import TextDataset
from bertexp.data.tokens.tokenizer import Tokenizer
from bertexp.tasks.question_answering.task import QuestionAnswering
from bertexp.training.module import FineTuningModule
from bertexp.training.optimizers.adamw import AdamW
from bertexp.training.trainer import Trainer


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
    found = measure(task, truth, logits)
    assert (found["f1"], found["exact_match"]) == (1.0, 1.0)
    assert found["loss"] < 1e-6
    choice, texts = choose(task, examples, logits)
    gold = [label[0]["text"] if label else "" for label in table["label"].to_pylist()]
    assert examples.source_rows[choice.windows].tolist() == list(range(60))
    assert texts == gold
    assert min(choice.chances) > 0.99
    always = measure(QuestionAnswering(), truth, logits)
    assert always["exact_match"] == pytest.approx(np.mean([bool(text) for text in gold]))


def test_a_fit_through_the_trainer_finds_the_answers(tmp_path):
    """The answer is always the one word of its kind; most contexts take several windows."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(60):
        words = generator.choice(["ab", "cab", "h", "fade", "zoe"], 10 + number).tolist()
        words[generator.integers(len(words))] = "北"
        context = " ".join(words)
        rows.append({"text": "h ab", "text_pair": context, "label": [{"text": "北", "start": context.index("北")}]})
    table = pa.Table.from_pylist(rows, random_table(1).schema)
    splits = {"train": table.slice(0, 50), "val": table.slice(50)}
    dataset = TextDataset("squad", "question_answering", splits, (), True, "f" * 16, {}, "x.json")
    config = DatasetConfig(max_length=40, window_overlap=10)
    data = DataModule(dataset, Tokenizer(VOCAB, True), config, 16, cache_dir=str(tmp_path / "cache"))
    assert data.examples("train").full_lengths.tolist() == [
        data.tokenizer.encode([context]).lengths[0] + 6 for context in splits["train"]["text_pair"].to_pylist()
    ]
    assert data.samples(2)[0].label == "北"
    module = FineTuningModule(SpanModel(), QuestionAnswering(4), lambda steps: AdamW(0.03, weight_decay=0.0))
    trainer = Trainer(TrainerConfig(max_epochs=6), tmp_path / "checkpoints")
    trainer.fit(module, data)
    found = trainer.validate(module, data)
    assert (found["val/f1"], found["val/exact_match"]) == (1.0, 1.0)
    assert sum(len(batch.logits) for batch in trainer.predict(module, data, "val")) > 10


def test_what_frozen_layers_made_keeps_labels_and_width():
    examples = make_examples(random_table(30))
    offsets = np.concatenate([[0], np.cumsum(examples.lengths, dtype=np.int64)])
    states = np.random.default_rng(0).normal(size=[offsets[-1], 3]).astype(np.float32)
    frozen = FrozenExamples(examples, Activations(states, offsets))
    for places in np.array_split(np.random.default_rng(1).permutation(len(examples.lengths)), 5):
        (tokens, labels), (features, found) = examples.pack(places), frozen.pack(places)
        np.testing.assert_array_equal(found, labels)
        np.testing.assert_array_equal(features["input_mask"], tokens["input_mask"])
        assert features["hidden_states"].shape == (*tokens["input_mask"].shape, 3)
        assert [truth.row for truth in frozen.truth(places)] == examples.source_rows[places].tolist()
