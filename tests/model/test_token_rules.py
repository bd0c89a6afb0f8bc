"""Accents that are kept, in training and in the exported graph; where pieces differ from Hugging Face's (docs/tasks.md)."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tensorflow as tf
from tiny_export import VOCAB as TINY
from tiny_export import make_model

from bertexp.data.tokens.packing import Shape, pack_batch
from bertexp.data.tokens.tokenizer import Tokenizer
from bertexp.serving.saved_model.export import export_saved_model, reference_logits
from bertexp.serving.saved_model.graph import make_tokenizer
from bertexp.serving.spec import ServingSpec
from bertexp.tasks.classification.task import Classification
from bertexp.tasks.question_answering.signature import whole_characters

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = "müde mude straße strasse i\u0307 ##z iz σ ##σ ⱥ k ! 大 😀 ."
VOCAB = [*SPECIAL, *WORDS.split()]


def spell(text: str, vocab: list[str], lowercase: bool, strip_accents: bool = True) -> list[str]:
    tokenizer = Tokenizer(vocab, lowercase, strip_accents)
    return tokenizer.pieces(tokenizer.encode([text]).values)


def test_accents_stay_where_they_are_not_to_be_taken_off():
    assert spell("MÜDE Straße!", VOCAB, True, False) == ["müde", "straße", "!"]
    assert spell("MÜDE Straße!", VOCAB, True) == ["mude", "strasse", "!"]
    assert spell("müde", VOCAB, False, False) == ["müde"]


def test_every_letter_has_its_own_lower_case_wherever_it_stands():
    capitals = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).lower() != chr(code)]
    vocab = [*SPECIAL, *dict.fromkeys(capital.lower() for capital in capitals)]
    tokenizer = Tokenizer(vocab, True, strip_accents=False)
    values, offsets = tokenizer.encode(capitals)
    assert np.diff(offsets).tolist() == [1] * len(capitals)
    assert tokenizer.pieces(values) == [capital.lower() for capital in capitals]
    assert spell("ΣΣ Σ", VOCAB, True, False) == ["σ", "##σ", "σ"]  # no other sigma at a word's end


def test_pieces_stand_where_they_stand_in_the_text_that_was_given():
    """Some letters have more bytes than their capitals, some fewer."""
    text = "İz 😀 MÜDE\tȺ \u212a\u00a0大. İ"
    tokenizer = Tokenizer(VOCAB, True, strip_accents=False)
    values, _, begins, ends = tokenizer.encode_aligned([text])
    assert tokenizer.pieces(values) == ["i\u0307", "##z", "😀", "müde", "ⱥ", "k", "大", ".", "i\u0307"]
    found = [text.encode()[begin:end].decode() for begin, end in zip(begins, ends, strict=True)]
    assert found == ["İ", "z", "😀", "MÜDE", "Ⱥ", "\u212a", "大", ".", "İ"]


def random_texts(count: int) -> list[str]:
    generator = np.random.default_rng(0)
    signs = [*"aAzZİıÜüÉßẞΣςȺ大😀½….! \t\n\u0308\u00ad\u200b\u00a0\ufeff\x00\x07\U00010400"]
    return ["".join(generator.choice(signs, n)) for n in generator.integers(0, 30, count)]


def test_the_graph_makes_the_pieces_and_places_of_the_training():
    texts = random_texts(300)
    letters = [*dict.fromkeys("".join(texts).lower())]
    vocab = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    vocab = [piece for piece in vocab if not piece.removeprefix("##").isspace()]
    values, offsets, begins, ends = Tokenizer(vocab, True, strip_accents=False).encode_aligned(texts)
    fast_bert = make_tokenizer(vocab, True, strip_accents=False).fast_bert

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def serve(given):
        ids, first, last = fast_bert.tokenize_with_offsets(given)
        flat = ids.flat_values, ids.row_splits, first.flat_values
        return *flat, whole_characters(first, last), fast_bert.tokenize(given)

    *served, ids = serve(tf.constant(texts))
    for one, other in zip(served, (values, offsets, begins, ends), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(ids.flat_values, values)
    assert len(values) > 2000
    assert serve(tf.constant([], tf.string))[0].shape == [0]
    assert serve(tf.constant(["", " "]))[1].numpy().tolist() == [0, 0, 0]


def test_an_export_keeps_the_accents_that_its_model_learned_from(tmp_path):
    vocab = [*SPECIAL, "müde", "mude", "für", "fur", "der", "!", "a", "b"]
    assert len(vocab) == len(TINY)
    texts = ["MÜDE für der!", "a mude", "", "Fur"]
    model, tokenizer = make_model(1), Tokenizer(vocab, True, strip_accents=False)
    packed = pack_batch([tokenizer.encode(texts)], np.arange(4), Shape(8), tokenizer.special_ids)
    spec = ServingSpec(Classification(("neg", "pos")), 8, False)
    folder = export_saved_model(model, vocab, True, spec, tmp_path / "model", strip_accents=False)
    served = tf.saved_model.load(str(folder)).signatures["serving_default"](text=tf.constant(texts))["probabilities"]
    np.testing.assert_allclose(served[:, 1], tf.sigmoid(reference_logits(model, [packed]))[:, 0], atol=1e-6)


DIFFERENT = "½ 1 … ß . [ ] 2 ##⁄ ##2 ss sep a co op coop ##op д ##д fi ##fi ﬁ"
WIDE = [*SPECIAL, *DIFFERENT.split()]


@pytest.mark.parametrize(
    ("text", "uncased", "cased"),
    [
        ("½", ["1", "##⁄", "##2"], ["½"]),
        ("ﬁ", ["fi"], ["ﬁ"]),
        ("…", [".", ".", "."], ["…"]),
        ("ß", ["ss"], ["ß"]),
        ("co\u00adop", ["coop"], ["co", "op"]),
        ("co\u200bop", ["coop"], ["co", "op"]),
        ("co\x07op", ["co", "op"], ["co", "op"]),
        ("д" * 50, ["д", *["##д"] * 49], ["д", *["##д"] * 49]),
        ("д" * 51, ["[UNK]"], ["[UNK]"]),
        ("[SEP] a", ["[", "sep", "]", "a"], ["[", "[UNK]", "]", "a"]),
    ],
)
def test_the_docs_table_of_pieces_that_differ_from_hugging_faces(text, uncased, cased):
    assert spell(text, WIDE, True) == uncased
    assert spell(text, WIDE, False) == cased
    assert spell(text, WIDE, True, False) == (uncased if "SEP" in text else cased)  # only put into lower case


@pytest.mark.parametrize("lengths", [(9, 9), (9, 12), (12, 9)])
def test_of_a_pair_whose_texts_are_both_cut_the_first_keeps_the_odd_piece(lengths):
    tokenizer = Tokenizer(WIDE, True)
    columns = [tokenizer.encode(["a " * length]) for length in lengths]
    packed = pack_batch(columns, np.arange(1), Shape(10), tokenizer.special_ids)
    assert packed["input_type_ids"][0].tolist() == [0] * 6 + [1] * 4  # [CLS], four pieces, [SEP], three, [SEP]
