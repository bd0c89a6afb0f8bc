"""Long texts read whole, in windows: packed as a plain loop would, averaged alike in training, prediction and export."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tiny_export import VOCAB

from bertexp.config.schema import DatasetConfig, TrainerConfig
from bertexp.data.examples.loaders import TrainLoader
from bertexp.data.examples.module import DataModule
from bertexp.data.examples.texts import LongTextExamples
from bertexp.data.splits import make_dataset
from bertexp.data.tokens.packing import Shape, TokenColumn, pack_batch
from bertexp.data.tokens.tokenizer import Tokenizer
from bertexp.models.encoder import make_encoder
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.text_model import TextClassifier
from bertexp.serving.saved_model.export import export_saved_model
from bertexp.serving.spec import ServingSpec
from bertexp.tasks.classification.task import Classification
from bertexp.training.callbacks import Callback
from bertexp.training.module import FineTuningModule
from bertexp.training.optimizers.adamw import AdamW
from bertexp.training.trainer import Trainer

TOKENIZER = Tokenizer(VOCAB, True)
TEXTS = ["a good film", "", "not bad " * 9, "film " * 14, "bad " * 15, "a good film, not a bad film! " * 7]


def examples_of(column: TokenColumn, labels: np.ndarray, max_length: int, overlap: int) -> LongTextExamples:
    dataset = SimpleNamespace(splits={"train": pa.table({"label": labels})}, label_names=(), has_pair=False)
    config = SimpleNamespace(max_length=max_length, long_text="windows", overlap=overlap)
    source = SimpleNamespace(dataset=dataset, tokenizer=TOKENIZER, config=config, encode=lambda split, field: column)
    return LongTextExamples(source, "train")


def loop_windows(ids: list[int], max_length: int, overlap: int) -> list[list[int]]:
    room, start, windows = max_length - 2, 0, []
    while True:
        windows.append([TOKENIZER.cls_id, *ids[start : start + room], TOKENIZER.sep_id])
        if start + room >= len(ids):
            return windows
        start += room - overlap


@pytest.mark.parametrize(("max_length", "overlap"), [(8, 0), (8, 4), (16, 4), (33, 11)])
def test_windows_of_texts_equal_a_plain_loop(max_length, overlap):
    generator = np.random.default_rng(overlap)
    rows = [generator.integers(4, 12, size).tolist() for size in [0, 1, *generator.integers(0, 90, 20)]]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    column = TokenColumn(np.array([piece for row in rows for piece in row], np.int32), offsets)
    labels = np.arange(len(rows), dtype=np.int32)
    examples = examples_of(column, labels, max_length, overlap)
    expected = [loop_windows(row, max_length, overlap) for row in rows]
    assert examples.lengths.tolist() == [sum(map(len, windows)) for windows in expected]
    places = generator.permutation(len(rows))[:7]
    features, found = examples.pack(places)
    assert found.tolist() == places.tolist()
    pairs = [(text, window) for text, place in enumerate(places) for window in expected[place]]
    assert features["text_of_window"].tolist() == [text for text, _ in pairs]
    for ids, mask, (_, window) in zip(features["input_word_ids"], features["input_mask"], pairs, strict=True):
        assert ids[: len(window)].tolist() == window
        assert mask.sum() == len(window)


def test_samples_show_the_first_window_of_each_text():
    texts = ["good " * 20, "bad " * 20, "film " * 20]
    table = pa.table({"text": texts, "label": pa.array([0, 1, 0], pa.int32())})
    config = DatasetConfig(max_length=8, long_text="windows")
    data = DataModule(make_dataset(config, "classification", {"train": table}, ("a", "b"), ""), TOKENIZER, config)
    shown = {sample.text.split()[0]: set(sample.pieces) - {"[CLS]", "[SEP]"} for sample in data.samples(3)}
    assert shown == {"good": {"good"}, "bad": {"bad"}, "film": {"film"}}


@pytest.fixture(scope="module")
def model() -> TextClassifier:
    encoder = make_encoder(BertArchitecture(len(VOCAB), 16, 2, 2, 32, max_positions=16), 3, only_cls=True)
    made = TextClassifier(encoder, 3, "pooler", 0.1, 3)
    made.head.dense.kernel.assign(tf.random.stateless_normal([16, 3], [1, 2]))
    return made


def test_a_texts_logits_are_the_mean_of_its_windows(model):
    column = TOKENIZER.encode(TEXTS)
    examples = examples_of(column, np.zeros(len(TEXTS), np.int32), 16, 4)
    together = model(examples.pack(np.arange(len(TEXTS)))[0]).numpy()
    assert together.shape == (len(TEXTS), 3)
    for row, averaged in enumerate(together):
        begin, end = column.offsets[row : row + 2]
        parts = [np.array(window[1:-1], np.int32) for window in loop_windows(column.values[begin:end].tolist(), 16, 4)]
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        windows = TokenColumn(np.concatenate(parts), offsets)
        logits = model(pack_batch([windows], np.arange(len(parts)), Shape(16), TOKENIZER.special_ids)).numpy()
        np.testing.assert_allclose(averaged, logits.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_batches_in_parts_make_the_updates_of_whole_ones(accumulate):
    texts = ["a good film " * (1 + row % 9) if row % 2 else "not bad " * (1 + row % 14) for row in range(24)]
    examples = examples_of(TOKENIZER.encode(texts), np.arange(24, dtype=np.int32) % 2, 8, 2)
    fits = []
    for bound in (8, 1000):
        encoder = make_encoder(BertArchitecture(len(VOCAB), 16, 2, 2, 32, 8, hidden_dropout=0, attention_dropout=0), 3)
        module = FineTuningModule(
            TextClassifier(encoder, 1, "pooler", 0.0, 3), Classification(("no", "yes")), lambda _: AdamW(1e-2)
        )
        loader = TrainLoader(examples, 6, bound, seed=1)
        parts = sum(1 for _ in loader.epoch(0))
        assert (parts > 2 * len(loader)) == (bound == 8)
        data = SimpleNamespace(train_loader=lambda limit_rows, loader=loader: loader, eval_loader=lambda *_, **__: [])
        hooks = Counter()
        state = Trainer(TrainerConfig(max_epochs=2, accumulate_grad_batches=accumulate), callbacks=[hooks]).fit(
            module, data
        )
        assert (state.step, hooks.begun, hooks.ended) == (8 // accumulate, 8, 8)
        assert state.epoch_sums == [0.0] * 6
        fits.append(
            (
                module.model,
                [metrics["train/loss_epoch"] for _, metrics in state.history if "train/loss_epoch" in metrics],
            )
        )
    (parted, losses), (whole, expected) = fits
    np.testing.assert_allclose(losses, expected, atol=1e-5)
    for a, b in zip(parted.variables, whole.variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, err_msg=a.name)


class Counter(Callback):
    def __init__(self):
        self.begun = self.ended = 0

    def on_train_batch_start(self, trainer):
        self.begun += 1

    def on_train_batch_end(self, trainer):
        self.ended += 1


@pytest.mark.parametrize("long_text", ["truncate_head", "truncate_tail", "head_tail", "windows"])
def test_the_export_reads_long_texts_as_training_does(model, tmp_path, long_text):
    spec = ServingSpec(Classification(("no", "maybe", "yes")), 16, False, long_text=long_text, window_overlap=4)
    folder = export_saved_model(model, VOCAB, True, spec, tmp_path / "model")
    column = TOKENIZER.encode(TEXTS)
    if long_text == "windows":
        examples = examples_of(column, np.zeros(len(TEXTS), np.int32), 16, 4)
        features = examples.pack(np.arange(len(TEXTS)))[0]
    else:
        features = pack_batch([column], np.arange(len(TEXTS)), Shape(16, long_text), TOKENIZER.special_ids)
    answer = tf.saved_model.load(str(folder)).signatures["serving_default"](text=tf.constant(TEXTS))
    np.testing.assert_allclose(answer["probabilities"], tf.nn.softmax(model(features)), atol=1e-6)
