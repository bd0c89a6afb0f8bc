"""Sentences of tagged words: read, checked, their tags brought to one scheme and to indices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertexp.config.schema import DatasetConfig
from bertexp.data.classes import spellings
from bertexp.data.formats.conll import place_of_word, read_sentences
from bertexp.data.formats.spec import Bad, Sieve, place_of
from bertexp.data.formats.tags import scheme_of, sort_tags, split_tag
from bertexp.data.splits import hold_out_absent, make_dataset
from bertexp.data.table import TextDataset
from bertexp.errors import DataError, did_you_mean

_ROWS_AT_ONCE = 8192  # so many sentences are Python objects at a time
_STRINGS, _INDICES = pa.list_(pa.string()), pa.list_(pa.int32())
_SCHEMA = pa.schema([("words", _STRINGS), ("tags", _INDICES), ("number", pa.int64())])  # number: line or row, from 1


@dataclass(frozen=True)
class Sentences:
    """What a file holds."""

    path: Path
    rows: pa.Table  # of _SCHEMA, each column in one piece
    sieve: Sieve
    notes: tuple[str, ...] = ()  # what was found and left out, a sentence each

    @property
    def lengths(self) -> np.ndarray:
        """<int64>[rows], words of each sentence."""
        return pc.list_value_length(self.rows["words"]).to_numpy().astype(np.int64)

    @property
    def tags(self) -> np.ndarray:
        """<int32>[words], indices into a list of spellings; [0]: the file has no tags."""
        return self.rows["tags"].combine_chunks().flatten().to_numpy()

    def with_tags(self, tags: np.ndarray) -> Sentences:
        """The same words with other tags <int32>[words]."""
        ends = pa.array(np.concatenate([[0], np.cumsum(self.lengths)]), pa.int32())
        lists = pa.ListArray.from_arrays(ends, pa.array(tags, pa.int32()))
        return replace(self, rows=self.rows.set_column(1, "tags", lists))

    def without(self, bad: np.ndarray, reason: str, detail: Callable[[int], str], cure: str = "") -> Sentences:
        """Takes out the sentences of the marked words <bool>[words]; ``detail`` says of a word's number what is wrong.

        Raises:
            DataError: bad sentences are errors, or none is left.
        """
        if not bad.any():
            return self
        lengths, word = self.lengths, int(bad.argmax())
        sentence = np.repeat(np.arange(len(lengths)), lengths)  # of each word
        kept = np.bincount(sentence, bad, len(lengths)) == 0
        first = int(sentence[word])
        place = place_of_word(self.path, self.rows["number"][first].as_py(), word - int(lengths[:first].sum()))
        self.sieve.take_out(place, Bad(reason, detail(word)), int(np.sum(~kept)), cure)
        self.sieve.require(int(kept.sum()))
        return replace(self, rows=self.rows.filter(pa.array(kept)))


def load_tagging(config: DatasetConfig, task: str, paths: Mapping[str, Path]) -> TextDataset:
    """Reads the splits in ``paths`` (``train`` and perhaps ``val``, ``test``) and cuts the others out of ``train``.

    Raises:
        DataError: a sentence is bad, or the sentences cannot be split as asked for.
    """
    tables, label_names, skipped, (scheme, *notes) = read_splits(config, paths)
    tables = hold_out_absent(tables, label_names, config)
    source = f"{', '.join(f'{split} {path}' for split, path in paths.items())} ({scheme})"
    return make_dataset(config, task, tables, label_names, source, skipped, notes)


def read_splits(
    config: DatasetConfig, paths: Mapping[str, Path]
) -> tuple[dict[str, pa.Table], tuple[str, ...], dict[str, int], tuple[str, ...]]:
    """Reads and checks files of tagged words.

    Tags in IOB1, which spells ``B-`` only between two entities of one type that touch, become IOB2.

    Returns:
        A table for each split with ``words`` <list<string>>, ``text`` <string> and ``label`` <list<int32>>; the tags;
        why and how often sentences were left out; the scheme of the tags in words, and what was found in the files.

    Raises:
        DataError: a sentence is bad, an entity goes on that did not begin, or a tag does not occur in training.
    """
    spelled: dict[str, int] = {}
    splits = {split: _read(path, config, spelled, needs_tags=split != "test") for split, path in paths.items()}
    tags = _named(list(spelled), config.label_names, paths["train"])
    tagged = {split: sentences for split, sentences in splits.items() if len(sentences.tags)}
    scheme = scheme_of(config.label_names or (tags[index] for index in np.unique(tagged["train"].tags)))
    note = f"tags in {scheme}" if scheme else "tags without entities of several words"
    if scheme == "IOB2" and _is_iob1(tagged, tags):
        tagged, tags = _begun(tagged, tags)
        note = "tags in IOB1, read as IOB2"
    if scheme:
        tagged = {split: _well_formed(sentences, tags, scheme) for split, sentences in tagged.items()}
    used = [tags[index] for index in np.unique(tagged["train"].tags)]
    label_names = tuple(config.label_names or sort_tags(used))
    tagged = {split: _known(sentences, tags, label_names) for split, sentences in tagged.items()}
    index_of = {tag: index for index, tag in enumerate(label_names)}
    indices = np.array([index_of.get(tag, -1) for tag in tags], np.int32)
    splits |= {split: sentences.with_tags(indices[sentences.tags]) for split, sentences in tagged.items()}
    tables = {}
    for split, sentences in splits.items():
        words = sentences.rows["words"]
        tables[split] = pa.table({"words": words, "text": pc.binary_join(words, " "), "label": sentences.rows["tags"]})
    skipped = sum((sentences.sieve.skipped for sentences in splits.values()), Counter())
    notes = chain.from_iterable(sentences.notes for sentences in splits.values())
    return tables, label_names, dict(skipped), (note, *notes)


def _read(path: Path, config: DatasetConfig, spelled: dict[str, int], needs_tags: bool) -> Sentences:
    """Reads a file; ``spelled`` gathers the spellings of tags and their indices."""
    sieve = Sieve(path, "sentence", config.on_bad_row)
    notes: list[str] = []
    found = (
        (place_of(path, number), sentence if isinstance(sentence, Bad) else (*sentence, number))
        for number, sentence in read_sentences(path, config, needs_tags, notes)
    )
    good, tables = sieve.good(found), []
    while sentences := list(islice(good, _ROWS_AT_ONCE)):
        words, tags, numbers = zip(*sentences, strict=True)
        indices = [row and [spelled.setdefault(tag, len(spelled)) for tag in row] for row in tags]
        tables.append(pa.table([words, indices, numbers], _SCHEMA))
    return Sentences(path, pa.concat_tables(tables).combine_chunks(), sieve, tuple(notes))


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


def _known(sentences: Sentences, tags: Sequence[str], label_names: Sequence[str]) -> Sentences:
    def detail(word: int) -> str:
        tag = tags[sentences.tags[word]]
        known = f"{', '.join(label_names)}{did_you_mean(tag, label_names)}"
        return f"the tag {tag!r} is not one of the training data's {known}"

    unknown = ~np.isin(np.array(tags), label_names)[sentences.tags]
    return sentences.without(unknown, "unknown tag", detail, ", or name all tags with dataset.label_names")


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
    same = types[1:] == types[:-1]
    same[np.cumsum(sentences.lengths)[:-1] - 1] = False  # the next word begins a sentence
    return prefixes, np.concatenate([[False], opens[:-1] & same]), opens


def _is_iob1(splits: Mapping[str, Sentences], tags: Sequence[str]) -> bool:
    """Whether entities begin with I-, and B- stands only where one of the same type ends."""
    looks = (_parts(sentences, tags) for sentences in splits.values())
    first = [prefixes[~before] for prefixes, before, _ in looks]  # of words that do not go on with an entity
    return any("I" in prefixes for prefixes in first) and not any("B" in prefixes for prefixes in first)


def _begun(splits: Mapping[str, Sentences], tags: Sequence[str]) -> tuple[dict[str, Sentences], list[str]]:
    """Lets every entity begin with B-."""
    tags = [*tags, *sorted({f"B{tag[1:]}" for tag in tags if split_tag(tag)[0] == "I"} - {*tags})]
    beginning = np.array([tags.index(f"B{tag[1:]}") if split_tag(tag)[0] == "I" else -1 for tag in tags], np.int32)
    changed = {}
    for split, sentences in splits.items():
        prefixes, before, _ = _parts(sentences, tags)
        new = np.where((prefixes == "I") & ~before, beginning[sentences.tags], sentences.tags)
        changed[split] = sentences.with_tags(new)
    return changed, tags


def _well_formed(sentences: Sentences, tags: Sequence[str], scheme: str) -> Sentences:
    """Checks that what goes on has begun and, where the scheme marks ends, that what begins ends."""
    prefixes, before, opens = _parts(sentences, tags)
    inside = np.isin(prefixes, ["I", "E", "L"])
    orphans = inside & ~before
    endless = np.zeros_like(orphans) if scheme == "IOB2" else opens & ~np.append((inside & before)[1:], False)

    def detail(word: int) -> str:
        what = "goes on with an entity that did not begin" if orphans[word] else "belongs to an entity without end"
        return f"the tag {tags[sentences.tags[word]]!r} {what} (the other tags are in {scheme})"

    return sentences.without(orphans | endless, "broken entity", detail)
