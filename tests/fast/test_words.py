"""Words and their pieces: alignment and cutting against a loop that spells the rule out."""

from __future__ import annotations

import numpy as np
import pytest

from bertexp.data.tokens.packing import Shape, TokenColumn, pack_batch
from bertexp.tasks.tagging.words import join_words, place_tags

UNK, CLS, SEP, PAD = 1, 2, 3, 0


def random_sentences(generator: np.random.Generator) -> list[list[tuple[list[int], int]]]:
    """Sentences of (pieces, tag); some words have no piece, some sentences are long."""
    return [
        [
            (generator.integers(10, 99, generator.integers(0, 4)).tolist(), int(generator.integers(0, 5)))
            for _ in range(generator.integers(1, 12))
        ]
        for _ in range(generator.integers(1, 9))
    ]


def columns_of(sentences: list[list[tuple[list[int], int]]]) -> tuple[TokenColumn, np.ndarray, np.ndarray]:
    words = [word for sentence in sentences for word in sentence]
    offsets = np.cumsum([0, *(len(pieces) for pieces, _ in words)])
    values = np.array([piece for pieces, _ in words for piece in pieces], np.int32)
    tags = np.array([tag for _, tag in words], np.int32)
    return TokenColumn(values, offsets), np.cumsum([0, *map(len, sentences)]), tags


def reference(sentence: list[tuple[list[int], int]], max_length: int) -> tuple[list[int], list[int], list[int]]:
    """Pieces with [CLS] and [SEP], the label of each, and the tags of the words that were cut."""
    ids, labels, cut = [CLS], [-1], []
    for pieces, tag in sentence:
        if len(ids) > max_length - 2:
            cut.append(tag)
        for number, piece in enumerate(pieces or [UNK]):
            if len(ids) <= max_length - 2:
                ids.append(piece)
                labels.append(tag if number == 0 else -1)
    return [*ids, SEP], [*labels, -1], cut


@pytest.mark.parametrize("seed", range(40))
def test_pieces_and_tags_are_those_of_a_plain_loop(seed):
    generator = np.random.default_rng(seed)
    sentences = random_sentences(generator)
    pieces, words, tags = columns_of(sentences)
    joined = join_words(pieces, words, UNK)
    max_length = int(generator.integers(8, 16))
    rows = generator.permutation(len(sentences))[: generator.integers(1, len(sentences) + 1)]
    ids = pack_batch([joined.column], rows, Shape(max_length), (CLS, SEP, PAD))["input_word_ids"]
    labels = place_tags(joined, tags, rows, max_length, ids.shape[1])
    truth = place_tags(joined, tags, rows, max_length)
    assert labels.shape == ids.shape
    for row, sentence in enumerate(rows):
        expected_ids, expected_labels, cut = reference(sentences[sentence], max_length)
        padding = ids.shape[1] - len(expected_ids)
        assert ids[row].tolist() == expected_ids + [PAD] * padding
        assert labels[row].tolist() == expected_labels + [-1] * padding
        assert truth[row][truth[row] >= 0].tolist() == [tag for _, tag in sentences[sentence]]
        assert truth[row][max_length:][: len(cut)].tolist() == cut
        seen = min(max_length, truth.shape[1], ids.shape[1])
        assert truth[row, :seen].tolist() == labels[row, :seen].tolist()


def test_a_word_without_pieces_becomes_unknown_and_keeps_its_tag():
    joined = join_words(TokenColumn(np.array([7, 8], np.int32), np.array([0, 1, 1, 2, 2])), np.array([0, 4]), UNK)
    assert joined.column.values.tolist() == [7, UNK, 8, UNK]
    assert place_tags(joined, np.array([4, 3, 2, 1], np.int32), [0], 128, 6).tolist() == [[-1, 4, 3, 2, 1, -1]]
