"""tensorflow-text's FastBertTokenizer as a vocabulary wants it, for training and inside the exported graph."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any


def make_fast_bert(vocab: Sequence[str], lowercase: bool, strip_accents: bool = True) -> Any:
    """A tokenizer with ``tokenize`` and ``tokenize_with_offsets``, as tensorflow-text's have them.

    Args:
        vocab: the word pieces; a piece's id is its index.
        lowercase: whether texts are put into lower case.
        strip_accents: whether accents are then taken off.

    Raises:
        RuntimeError: tensorflow-text cannot use the vocabulary.
    """
    import tensorflow as tf
    import tensorflow_text

    strips = lowercase and strip_accents
    fast_bert = tensorflow_text.FastBertTokenizer(
        list(vocab), token_out_type=tf.int32, lower_case_nfd_strip_accents=strips
    )
    return _LowerCaseFirst(fast_bert) if lowercase and not strips else fast_bert


class _LowerCaseFirst:
    """A cased tokenizer of texts that are put into lower case with their accents, for which tensorflow-text has no setting.

    The letters come from a table, so that neither the machine's language (a Turkish one has no dot on the small I) nor
    TensorFlow's release changes what a model was trained on. Each letter goes by itself, as in Hugging Face's tokenizers.

    Args:
        cased: a FastBertTokenizer that does not lower-case.
    """

    def __init__(self, cased: Any):
        import tensorflow as tf

        self._cased = cased
        self._letters = tf.constant(_lower_letters())

    def tokenize(self, texts: Any) -> Any:
        """Ids <int32>[N, (pieces)] of texts <string>[N]."""
        return self._cased.tokenize(self._lower(texts)[0])

    def tokenize_with_offsets(self, texts: Any) -> tuple[Any, Any, Any]:
        """Ids <int32>, and begins and ends <int64> in bytes of the text that was given, each [N, (pieces)]."""
        import tensorflow as tf

        lowered, letters, starts = self._lower(texts)
        ids, begins, ends = self._cased.tokenize_with_offsets(lowered)
        # of every byte of a lower-cased text where its letter begins in the text, and of its end that text's
        places = tf.repeat(starts.flat_values, tf.strings.length(letters.flat_values))
        places = tf.RaggedTensor.from_row_lengths(places, tf.cast(tf.strings.length(lowered), tf.int64))
        places = tf.concat([places, tf.cast(tf.strings.length(texts), tf.int64)[:, tf.newaxis]], axis=1)
        return ids, tf.gather(places, begins, batch_dims=1), tf.gather(places, ends, batch_dims=1)

    def _lower(self, texts: Any) -> tuple[Any, Any, Any]:
        """Texts in lower case, their letters, and the byte of the given text at which each begins, both [N, (letters)]."""
        import tensorflow as tf

        codes, starts = tf.strings.unicode_decode_with_offsets(texts, "UTF-8")
        flat, known = codes.flat_values, len(self._letters)
        own = tf.strings.unicode_encode(flat[:, tf.newaxis], "UTF-8")
        lowered = tf.where(flat < known, tf.gather(self._letters, tf.minimum(flat, known - 1)), own)
        letters = codes.with_flat_values(lowered)
        return tf.strings.reduce_join(letters, axis=1), letters, starts


def _lower_letters() -> list[str]:
    """The lower case of every character up to the last one that has another."""
    lowered = [chr(code).lower() for code in range(sys.maxunicode + 1)]
    last = max(code for code, letter in enumerate(lowered) if letter != chr(code))
    return ["" if "\ud800" <= letter <= "\udfff" else letter for letter in lowered[: last + 1]]
