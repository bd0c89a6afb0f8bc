"""Data sets of tagged words: read, checked, their tags brought to one scheme and to indices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertexp.config.schema import DatasetConfig
from bertexp.data.formats.conll import place_of_word, read_sentences
from bertexp.data.formats.spec import Bad, place_of
from bertexp.data.formats.tags import scheme_of, sort_tags, split_tag
from bertexp.data.labels import spellings
from bertexp.data.splits import hold_out_absent, make_dataset
from bertexp.data.table import TextDataset
from bertexp.errors import DataError, did_you_mean

_ROWS_AT_ONCE = 8192  # so many sentences are Python objects at a time
_CURE = "mend it, or leave such sentences out: dataset.on_bad_row=skip"


@dataclass(frozen=True)
class Sentences:
    """What a file holds."""

    path: Path
    words: pa.ChunkedArray  # <list<string>>[rows]
    tags: np.ndarray | None  # <int32>[words], indices into a list of spellings; None: the file has no tags
    numbers: np.ndarray  # <int64>[rows], line or row in the file, from 1
    skipped: Counter[str]  # reason -> sentences left out

    @property
    def lengths(self) -> np.ndarray:
        """<int64>[rows], words of each sentence."""
        return pc.list_value_length(self.words).to_numpy().astype(np.int64)

    @property
    def begins(self) -> np.ndarray:
        """<bool>[words + 1]: whether a sentence begins with the word; the last stands for the end."""
        begins = np.zeros(self.lengths.sum() + 1, bool)
        begins[np.cumsum(self.lengths)] = begins[0] = True
        return begins

    def place(self, word: int) -> str:
        """Names the place of word number ``word`` of all."""
        ends = np.cumsum(self.lengths)
        index = int(np.searchsorted(ends, word, side="right"))
        return place_of_word(self.path, int(self.numbers[index]), int(word - (ends - self.lengths)[index]))

    @property
    def used(self) -> np.ndarray:
        """<int32>[at most spellings]: the tags that occur, as indices into the list of spellings."""
        return np.zeros(0, np.int32) if self.tags is None else np.unique(self.tags)

    def without(self, words: np.ndarray, reason: str) -> Sentences:
        """Leaves the sentences of the marked words <bool>[words] out.

        Raises:
            DataError: none is left.
        """
        sentence = np.repeat(np.arange(len(self.numbers)), self.lengths)  # of each word
        kept = np.bincount(sentence, words, len(self.numbers)) == 0
        left = Counter({reason: int(np.sum(~kept))})
        if not kept.any():
            counts = ", ".join(f"{count} sentences: {why}" for why, count in (self.skipped + left).items())
            raise DataError(f"{self.path} holds no usable sentence ({counts})")
        tags = None if self.tags is None else self.tags[kept[sentence]]
        return Sentences(self.path, self.words.filter(pa.array(kept)), tags, self.numbers[kept], self.skipped + left)

    def table(self, indices: np.ndarray) -> pa.Table:
        """The canonical columns; ``indices`` <int32>[spellings] are the indices of the tags in ``label_names``."""
        words = self.words.combine_chunks()
        offsets = pa.array(np.concatenate([[0], np.cumsum(self.lengths)]), pa.int32())
        label = (
            pa.nulls(len(words), pa.list_(pa.int32()))
            if self.tags is None
            else pa.ListArray.from_arrays(offsets, pa.array(indices[self.tags], pa.int32()))
        )
        return pa.table({"words": words, "text": pc.binary_join(words, " "), "label": label})


def load_tagging(config: DatasetConfig, task: str, paths: Mapping[str, Path]) -> TextDataset:
    """Reads the splits in ``paths`` (``train`` and perhaps ``val``, ``test``) and cuts the others out of ``train``.

    Raises:
        DataError: a sentence is bad, or the sentences cannot be split as asked for.
    """
    tables, label_names, skipped, scheme = read_splits(config, paths)
    tables = hold_out_absent(tables, label_names, config)
    source = f"{', '.join(f'{split} {path}' for split, path in paths.items())} ({scheme})"
    return make_dataset(config, task, tables, label_names, source, skipped)


def read_splits(
    config: DatasetConfig, paths: Mapping[str, Path]
) -> tuple[dict[str, pa.Table], tuple[str, ...], dict[str, int], str]:
    """Reads and checks files of tagged words.

    Tags in IOB1, which spells ``B-`` only between two entities of one type that touch, become IOB2.

    Returns:
        A table for each split with ``words`` <list<string>>, ``text`` <string> and ``label`` <list<int32>>; the tags;
        why and how often sentences were left out; the scheme of the tags in words.

    Raises:
        DataError: a sentence is bad, an entity goes on that did not begin, or a tag does not occur in training.
    """
    spelled: dict[str, int] = {}
    splits = {split: _read(path, config, spelled, needs_tags=split != "test") for split, path in paths.items()}
    tags = _named(list(spelled), config.label_names, paths["train"])
    used = [tags[index] for index in splits["train"].used]
    scheme = scheme_of(config.label_names or used)
    note = f"tags in {scheme}" if scheme else "tags without entities of several words"
    if scheme:
        if scheme == "IOB2" and _is_iob1(splits, tags):
            splits, tags = _begun(splits, tags)
            note = "tags in IOB1, read as IOB2"
        splits = {split: _well_formed(one, tags, scheme, config.on_bad_row) for split, one in splits.items()}
        used = [tags[index] for index in splits["train"].used]
    label_names = tuple(config.label_names or sort_tags(used))
    splits = {split: _known(one, tags, label_names, config.on_bad_row) for split, one in splits.items()}
    index_of = {tag: index for index, tag in enumerate(label_names)}
    indices = np.array([index_of.get(tag, -1) for tag in tags], np.int32)
    skipped = sum((one.skipped for one in splits.values()), Counter())
    return {split: one.table(indices) for split, one in splits.items()}, label_names, dict(skipped), note


def _read(path: Path, config: DatasetConfig, spelled: dict[str, int], needs_tags: bool) -> Sentences:
    """Reads a file; ``spelled`` gathers the spellings of tags and their indices."""
    chunks, tags, numbers = [], [], []
    skipped: Counter[str] = Counter()
    words: list[list[str]] = []
    for number, sentence in read_sentences(path, config, needs_tags):
        if isinstance(sentence, Bad):
            if config.on_bad_row != "skip":
                raise DataError(f"{place_of(path, number)}: {sentence.detail}; {_CURE}")
            skipped[sentence.reason] += 1
            continue
        words.append(sentence.words)
        numbers.append(number)
        if sentence.tags is not None:
            tags.append(np.array([spelled.setdefault(tag, len(spelled)) for tag in sentence.tags], np.int32))
        if len(words) == _ROWS_AT_ONCE:
            chunks.append(pa.array(words, pa.list_(pa.string())))
            words = []
    if not numbers:
        raise DataError(f"{path} holds no usable sentence")
    column = pa.chunked_array([*chunks, pa.array(words, pa.list_(pa.string()))])
    return Sentences(path, column, np.concatenate(tags) if tags else None, np.array(numbers, np.int64), skipped)


def _named(spelled: list[str], label_names: Sequence[str] | None, path: Path) -> list[str]:
    """Returns the spellings with numbers replaced by the names that they stand for."""
    if label_names:
        known = spellings(label_names)
        return [label_names[known[tag]] if tag in known else tag for tag in spelled]
    if all(tag.isdigit() for tag in spelled):
        raise DataError(
            f"the tags of {path} are numbers ({', '.join(spelled[:5])}, …); name what they stand for, in their order: "
            "dataset.label_names=[O,B-PER,I-PER,…]"
        )
    return spelled


def _known(sentences: Sentences, tags: Sequence[str], label_names: Sequence[str], on_bad_row: str) -> Sentences:
    if sentences.tags is None:
        return sentences
    unknown = ~np.isin(np.array(tags), label_names)[sentences.tags]
    if not unknown.any():
        return sentences
    if on_bad_row == "skip":
        return sentences.without(unknown, "unknown tag")
    word = int(unknown.argmax())
    tag = tags[sentences.tags[word]]
    raise DataError(
        f"{sentences.place(word)}: the tag {tag!r} is not one of the training data's {', '.join(label_names)}"
        f"{did_you_mean(tag, label_names)}; {_CURE}, or name all tags with dataset.label_names"
    )


# entities


def _parts(sentences: Sentences, tags: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Looks at each word's tag and the one before.

    Returns:
        Prefixes <str>[words]; whether an entity of the same type is open before the word <bool>[words]; whether one is
        open after it <bool>[words], whatever the next tag is.
    """
    prefixes = np.array([split_tag(tag)[0] for tag in tags])[sentences.tags]
    types = np.unique([split_tag(tag)[1] for tag in tags], return_inverse=True)[1][sentences.tags]
    opens = (prefixes == "B") | (prefixes == "I")
    same = (types[1:] == types[:-1]) & ~sentences.begins[1:-1]
    return prefixes, np.concatenate([[False], opens[:-1] & same]), opens


def _is_iob1(splits: Mapping[str, Sentences], tags: Sequence[str]) -> bool:
    """Whether entities begin with I-, and B- stands only where one of the same type ends."""
    begun_with_i = False
    for sentences in splits.values():
        if sentences.tags is not None:
            prefixes, before, _ = _parts(sentences, tags)
            if np.any((prefixes == "B") & ~before):
                return False
            begun_with_i |= bool(np.any((prefixes == "I") & ~before))
    return begun_with_i


def _begun(splits: Mapping[str, Sentences], tags: Sequence[str]) -> tuple[dict[str, Sentences], list[str]]:
    """Lets every entity begin with B-."""
    tags = [*tags, *sorted({f"B{tag[1:]}" for tag in tags if split_tag(tag)[0] == "I"} - {*tags})]
    beginning = np.array([tags.index(f"B{tag[1:]}") if split_tag(tag)[0] == "I" else -1 for tag in tags], np.int32)
    changed = {}
    for split, sentences in splits.items():
        changed[split] = sentences
        if sentences.tags is not None:
            prefixes, before, _ = _parts(sentences, tags)
            new = np.where((prefixes == "I") & ~before, beginning[sentences.tags], sentences.tags)
            changed[split] = Sentences(sentences.path, sentences.words, new, sentences.numbers, sentences.skipped)
    return changed, tags


def _well_formed(sentences: Sentences, tags: Sequence[str], scheme: str, on_bad_row: str) -> Sentences:
    """Checks that what goes on has begun and, where the scheme marks ends, that what begins ends."""
    if sentences.tags is None:
        return sentences
    prefixes, before, opens = _parts(sentences, tags)
    inside = np.isin(prefixes, ["I", "E", "L"])
    orphans = inside & ~before
    endless = np.zeros_like(orphans) if scheme == "IOB2" else opens & ~np.append((inside & before)[1:], False)
    broken = orphans | endless
    if not broken.any():
        return sentences
    if on_bad_row == "skip":
        return sentences.without(broken, "broken entity")
    word = int(broken.argmax())
    tag = tags[sentences.tags[word]]
    what = "goes on with an entity that did not begin" if orphans[word] else "belongs to an entity without end"
    raise DataError(f"{sentences.place(word)}: the tag {tag!r} {what} (the other tags are in {scheme}); {_CURE}")
