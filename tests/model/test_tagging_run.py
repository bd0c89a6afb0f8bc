"""Tagging from files to predictions: alignment, a fit that learns, an export that says what the trained model says."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tf_keras
from tagged_rows import make_sentences, write_conll, write_splits

from bertexp.commands.predict import main
from bertexp.config.resolve import compose_config
from bertexp.config.schema import DatasetConfig
from bertexp.data.examples.module import DataModule
from bertexp.data.find.locate import locate_dataset
from bertexp.data.tokens.packing import Shape, pack_batch
from bertexp.data.tokens.tokenizer import Tokenizer
from bertexp.runs.plan import make_plan
from bertexp.runs.runner import run
from bertexp.runs.stages.frozen_layers import keep_activations
from bertexp.runs.stages.parts import build_parts
from bertexp.serving.saved_model.export import export_saved_model, reference_logits
from bertexp.serving.saved_model.pyfunc import TextModel
from bertexp.serving.spec import ServingSpec
from bertexp.tasks.tagging.task import Tagging
from bertexp.tasks.tagging.words import join_words, place_tags
from bertexp.training.trainer import Trainer

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdef", *(f"##{letter}" for letter in "abcdef"), ",", ".", "(", ")"]
TAGS = ("O", "B-PER", "I-PER", "B-LOC")
ODD = ["\u200b", "\ufe0f", "\u00ad", "xyz", "日本", "A\u0301", "a\u00a0b", ",", "ab.c"]


class TinyTagger(tf_keras.Model):
    """Logits of each place, from its piece and those beside it."""

    def __init__(self, units: int):
        super().__init__()
        self.pieces = tf_keras.layers.Embedding(len(VOCAB), 8)
        self.head = tf_keras.layers.Dense(units)

    def call(self, features, training=False):
        hidden = self.pieces(features["input_word_ids"])
        mask = tf.cast(features["input_mask"], tf.float32)[..., tf.newaxis]
        mean = tf.reduce_sum(hidden * mask, axis=1, keepdims=True) / tf.reduce_sum(mask, axis=1, keepdims=True)
        return self.head(hidden + 0.5 * tf.roll(hidden * mask, 1, axis=1) + mean)


@pytest.fixture(scope="module")
def tagger() -> TinyTagger:
    tf_keras.utils.set_random_seed(3)
    model = TinyTagger(len(TAGS))
    model({name: tf.ones([1, 3], tf.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")})
    for variable in model.variables:
        variable.assign(tf.random.normal(variable.shape))
    return model


@pytest.fixture(scope="module")
def exported(tagger, tmp_path_factory) -> TextModel:
    spec = ServingSpec(Tagging(TAGS), max_length=12, has_pair=False)
    return TextModel(export_saved_model(tagger, VOCAB, True, spec, tmp_path_factory.mktemp("tagger") / "model"))


def random_words(generator: np.random.Generator) -> list[list[str]]:
    def word() -> str:
        if generator.random() < 0.2:
            return str(generator.choice(ODD))
        return "".join(generator.choice(list("abcdefAF"), generator.integers(1, 5)))

    return [[word() for _ in range(generator.integers(1, 12))] for _ in range(generator.integers(1, 20))]


def trained_answer(tagger: TinyTagger, sentences: list[list[str]], max_length: int = 12) -> tuple[np.ndarray, list]:
    """Probabilities and tags as training code computes them."""
    tokenizer = Tokenizer(VOCAB, True)
    pieces = tokenizer.encode([word for sentence in sentences for word in sentence])
    offsets = np.cumsum([0, *map(len, sentences)])
    joined, rows = join_words(pieces, offsets, tokenizer.unk_id), np.arange(len(sentences))
    features = pack_batch([joined.column], rows, Shape(max_length), tokenizer.special_ids)
    truth = place_tags(joined, np.zeros(offsets[-1], np.int32), rows, max_length)
    logits = reference_logits(tagger, [features])
    return Tagging(TAGS).answers(truth, logits), Tagging(TAGS).decode(truth, logits)[1]


# alignment


def test_examples_hold_each_word_and_its_tag_as_a_plain_loop_puts_them(tmp_path):
    sentences = [(words, ["O", "B-PER"] * 9) for words in random_words(np.random.default_rng(5))]
    sentences = [(words, tags[: len(words)]) for words, tags in sentences]
    config = DatasetConfig(
        name="conll",
        path=str(write_conll(tmp_path / "train.txt", sentences)),
        val_fraction=0,
        test_fraction=0,
        max_length=12,
    )
    dataset = locate_dataset(config, str(tmp_path), "tagging").load()
    tokenizer = Tokenizer(VOCAB, True)
    examples = DataModule(dataset, tokenizer, config, cache_dir=str(tmp_path / "tokens")).examples("train")
    features, labels = examples.pack(np.arange(len(sentences)))
    truth = examples.truth(np.arange(len(sentences)))
    for row, (words, tags) in enumerate(sentences):
        ids, expected = [tokenizer.cls_id], [-1]
        for word, tag in zip(words, tags, strict=True):
            pieces = tokenizer.encode([word]).values.tolist() or [tokenizer.unk_id]
            ids += pieces
            expected += [dataset.label_names.index(tag), *[-1] * (len(pieces) - 1)]
        ids, expected = [*ids[:11], tokenizer.sep_id], [*expected[:11], -1]
        assert features["input_word_ids"][row][: len(ids)].tolist() == ids
        assert features["input_mask"][row].sum() == len(ids) == examples.lengths[row]
        assert labels[row][: len(ids)].tolist() == expected
        assert (labels[row][len(ids) :] == -1).all()
        assert [dataset.label_names[tag] for tag in truth[row] if tag >= 0] == tags


# export


@pytest.mark.parametrize("seed", range(8))
def test_words_get_the_tags_of_the_trained_model(tagger, exported, seed):
    sentences = random_words(np.random.default_rng(seed))
    probabilities, tags = trained_answer(tagger, sentences)
    found = exported.run({"words": sentences})
    np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-6)
    assert [[tag for tag in row if tag] for row in found["tags"].tolist()] == tags
    assert [[word for word in row if word] for row in found["words"].tolist()] == sentences
    batches = exported.run({"words": sentences}, batch_size=3)
    assert (batches["tags"] == found["tags"]).all()


def test_a_text_is_split_and_tagged_as_its_words_are(exported):
    texts = ["ab (cd, ef).", " a\tb\n c ", "", "a.b c...", '"ab," cd', "...", "Ab"]
    words = [["ab", "(", "cd", ",", "ef", ")."], ["a", "b", "c"], [], ["a.b", "c", "..."], ['"', "ab", ',"', "cd"], ["..."], ["Ab"]]  # fmt: skip
    by_text, by_words = exported.run({"text": texts}), exported.run({"words": words})
    for name, array in by_words.items():
        assert array.dtype == by_text[name].dtype
        np.testing.assert_array_equal(array, by_text[name])
    assert exported.run({"text": []})["tags"].shape[0] == exported.run({"words": []})["tags"].shape[0] == 0


def test_words_beyond_the_longest_row_are_outside_with_probability_0(exported):
    found = exported.run({"words": [["a"] * 14]})
    assert found["tags"][0, 10:].tolist() == ["O"] * 4
    np.testing.assert_allclose(found["probabilities"][0].sum(axis=-1), [1.0] * 10 + [0.0] * 4, atol=1e-6)


def test_predict_prints_entities_and_json_holds_words_and_tags(exported, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bertexp.serving.saved_model.predictor.TextModel", lambda *_: exported)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    (tmp_path / "bertexp.json").write_text(json.dumps({"format": 2, "inputs": ["text"], "reads_words": True}))
    words = [str(tmp_path), "ab cd ef, fa", "abc"]
    assert main([*words, "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert records[0]["words"] == ["ab", "cd", "ef", ",", "fa"]
    for record in records:
        for entity in record["entities"]:
            assert entity["text"] == " ".join(record["words"][entity["begin"] : entity["end"]])
            assert record["tags"][entity["begin"]] == f"B-{entity['type']}"
            assert 0 < entity["probability"] <= 1
    assert main(words) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["entities", "text"]
    shown = ", ".join(f"{entity['text']} ({entity['type']})" for entity in records[0]["entities"]) or "-"
    assert table[1] == f"{shown:{len(table[1]) - len('  ab cd ef, fa')}}  ab cd ef, fa"


def test_a_file_of_words_is_tagged_word_by_word(exported, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bertexp.serving.saved_model.predictor.TextModel", lambda *_: exported)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    (tmp_path / "bertexp.json").write_text(json.dumps({"format": 2, "inputs": ["text"], "reads_words": True}))
    sentences = [["ab", "cd,", "ef"], ["fa", "\u2028", "xyz"], ["abc"]]
    text = "-DOCSTART- O\n\n" + "\n".join("".join(f"{word}\tX\n" for word in words) for words in sentences)
    (tmp_path / "in.conll").write_text(text, encoding="utf-8")
    main([str(tmp_path), "--file", str(tmp_path / "in.conll"), "--output", str(tmp_path / "out.conll")])
    blocks = (tmp_path / "out.conll").read_text(encoding="utf-8").rstrip("\n").split("\n\n")
    tagged = [[line.split("\t") for line in block.split("\n")] for block in blocks]
    assert [[word for word, _ in sentence] for sentence in tagged] == sentences
    capsys.readouterr()
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"id": 7, "w": words}) + "\n" for words in sentences))
    main([str(tmp_path), "--file", str(tmp_path / "in.jsonl"), "--words-column", "w", "--json"])
    records = [json.loads(line) for line in capsys.readouterr().out.rstrip("\n").split("\n")]
    assert [record["tags"] for record in records] == [[tag for _, tag in sentence] for sentence in tagged]
    assert all(record["id"] == 7 and record["w"] == record["words"] for record in records)


# training


def test_a_fit_on_kept_activations_makes_the_updates_of_a_fit_on_tokens(tmp_path):
    folder = write_splits(tmp_path / "data", 40, 16)
    fits = []
    for cached in (False, True):
        config, _ = compose_config(
            ["dataset=conll", f"dataset.path={folder}", "model.hidden_size=64", "model.num_layers=3", "trainer.max_epochs=3",
             "trainer.batch_size=8", f"run.outputs_dir={tmp_path}"]
        )  # fmt: skip
        config.trainable.encoder = "top_layers"
        plan = make_plan(config)
        parts = build_parts(config, plan, plan.dataset.load())
        data = keep_activations(config, parts) if cached else parts.data
        assert (data is not parts.data) == cached
        Trainer(config.trainer, seed=config.run.seed).fit(parts.module, data)
        fits.append([variable.numpy() for variable in parts.module.model.trainable_variables])
    for tokens, activations in zip(*fits, strict=True):
        np.testing.assert_allclose(tokens, activations, atol=2e-5)


def test_a_run_learns_a_pattern_ships_it_and_tells_of_it(tmp_path, capsys):
    folder = write_splits(tmp_path / "data")
    result = run(
        ["dataset=conll", f"dataset.path={folder}", "model.hidden_size=64", "trainer.max_epochs=6", "trainer.batch_size=16",
         "optimizer.learning_rate=3e-3", "tracking=none", f"run.outputs_dir={tmp_path}"]
    )  # fmt: skip
    assert result.metrics["test/f1"] > 0.95
    assert result.export_difference < 1e-5
    low, high = result.intervals["test/f1"]
    assert low <= result.metrics["test/f1"] <= high
    printed = capsys.readouterr().out
    assert "3 tags" in printed
    assert "PER]" in printed
    assert (result.folder / "figures" / "entities.png").exists()
    sentences = [words for words, _ in make_sentences(5, seed=9)]
    tags = [tags for _, tags in make_sentences(5, seed=9)]
    assert [answer["tags"] for answer in TextModel(result.model_folder).answers({"words": sentences})] == tags
    (answer,) = TextModel(result.model_folder).answers({"text": ["the story of Mr Bob Young was good"]})
    assert [(entity["text"], entity["type"]) for entity in answer["entities"]] == [("Bob Young", "PER")]


def test_a_test_file_without_tags_is_predicted(tmp_path):
    folder = write_splits(tmp_path / "data", 32, 16)
    sentences = make_sentences(6, seed=4)
    (folder / "test.txt").write_text("\n".join("".join(f"{word}\n" for word in words) for words, _ in sentences))
    result = run(
        ["dataset=conll", f"dataset.path={folder}", "model.hidden_size=64", "trainer.max_epochs=1", "tracking=none",
         "task.main_metric=accuracy", "export.enabled=false", f"run.outputs_dir={tmp_path}"]
    )  # fmt: skip
    assert "val/f1" in result.metrics
    assert list(result.intervals) == ["val/accuracy", "val/f1"]  # the main metric's first
    assert pq.read_table(result.predictions)["label"].null_count == 0  # of the validation rows, which have tags
    table = pq.read_table(result.folder / "predictions-test.parquet")
    assert table["words"].to_pylist() == [words for words, _ in sentences]
    assert table["label"].null_count == 6
    assert [len(tags.split()) for tags in table["predicted"].to_pylist()] == [len(words) for words, _ in sentences]
