"""Tagged words: what files may look like, how mistakes are named, which schemes of tags are understood."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertexp.config.resolve import compose_config
from bertexp.config.schema import DatasetConfig
from bertexp.data.find import source as dataset_source
from bertexp.data.find.locate import locate_dataset
from bertexp.data.formats.tagged import read_splits
from bertexp.data.formats.tags import entity_types, scheme_of, sort_tags
from bertexp.data.sets import wnut17
from bertexp.errors import ConfigError, DataError

CONLL = "Ann\tB-PER\nSmith\tI-PER\nwon\tO\n\nin\tO\nNew York\tB-LOC\n"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(places: Path | dict[str, Path], **settings: object) -> dict[str, list[list[tuple[str, str | None]]]]:
    """The sentences of each split as (word, tag)."""
    places = {"train": places} if isinstance(places, Path) else places
    tables, names, _, _ = read_splits(DatasetConfig(name="conll", **settings), places)
    return {
        split: [
            [(word, names[tag]) for word, tag in zip(row["words"], row["label"], strict=True)]
            if row["label"] is not None
            else [(word, None) for word in row["words"]]
            for row in table.to_pylist()
        ]
        for split, table in tables.items()
    }


def tags_of(path: Path, **settings: object) -> list[list[str]]:
    return [[tag for _, tag in sentence] for sentence in read(path, **settings)["train"]]


SENTENCES = [[("Ann", "B-PER"), ("Smith", "I-PER"), ("won", "O")], [("in", "O"), ("New York", "B-LOC")]]


@pytest.mark.parametrize(
    "content",
    [
        CONLL,
        "\ufeff" + CONLL.replace("\n", "\r\n"),
        "-DOCSTART-\tO\n\n" + CONLL.replace("\n\n", "\n\t\n \n\n") + "\n\n",
        CONLL.replace("\n\n", "\n-DOCSTART-\tO\n"),
        "# sent_id = 1\n" + CONLL,
    ],
    ids=["plain", "windows", "documents and blank lines of tabs", "a document ends a sentence", "comments"],
)
def test_conll_files_of_every_habit_hold_the_same_sentences(tmp_path, content):
    assert read(write(tmp_path / "train.txt", content))["train"] == SENTENCES


def test_columns_are_parted_by_spaces_too_and_can_be_chosen(tmp_path):
    path = write(tmp_path / "eng.train", "-DOCSTART- -X- -X- O\n\nAnn  NNP I-NP B-PER\n# NN I-NP O\nwon VBD I-VP O\n")
    assert read(path)["train"] == [[("Ann", "B-PER"), ("#", "O"), ("won", "O")]]
    assert tags_of(path, tags_column="1") == [["NNP", "NN", "VBD"]]
    assert tags_of(path, tags_column="-2") == [["B-NP", "I-NP", "B-VP"]]  # IOB1
    assert read(path, words_column="1", tags_column="3")["train"][0][0] == ("NNP", "B-PER")
    for settings, message in (
        ({"tags_column": "4"}, r"dataset\.tags_column=4 is not a column of .*:3; its 4 columns are counted from 0"),
        ({"tags_column": "ner"}, r"dataset\.tags_column=ner is not a column"),
        ({"words_column": "3"}, "name two different ones"),
    ):
        with pytest.raises(DataError, match=message):
            read(path, **settings)


def test_odd_unicode_stays_inside_a_word_and_no_line_break_but_the_line_break_ends_it(tmp_path):
    words = ["a\u00a0b", "\u2028", "x\x85y", "\u200b", "é😀", "\ufe0f"]
    path = write(tmp_path / "train.txt", "".join(f"{word}\tO\n" for word in words) + "\nAnn\tB-PER\n")
    assert [word for word, _ in read(path)["train"][0]] == words


BAD_LINES = [
    ("won\n", 5, "wrong column count", "has 1 columns instead of 2"),
    ("won\tO\tO\n", 5, "wrong column count", "has 3 columns instead of 2"),
    ("\tO\n", 5, "empty word", "no word or no tag"),
    ("won\t\n", 5, "empty word", "no word or no tag"),
    (b"w\xff\tO\n", 4, "not UTF-8", "not UTF-8"),
    ("won\tI-PER\n", 5, "broken entity", "'I-PER' goes on with an entity that did not begin"),
]


@pytest.mark.parametrize(("line", "number", "reason", "message"), BAD_LINES)
def test_a_bad_line_is_named_or_its_sentence_left_out(tmp_path, line, number, reason, message):
    good = "Ann\tB-PER\nwon\tO\n\n"
    bad = (good + "He\tO\n").encode() + (line if isinstance(line, bytes) else line.encode())
    path = write(tmp_path / "train.conll", bad + b"it\tO\n\n" + good.encode())
    with pytest.raises(DataError, match=rf"train\.conll:{number}: .*{message}.*on_bad_row=skip"):
        read(path)
    tables, _, skipped, _ = read_splits(DatasetConfig(on_bad_row="skip"), {"train": path})
    assert tables["train"]["words"].to_pylist() == [["Ann", "won"]] * 2
    assert skipped == {reason: 1}


def test_jsonl_and_parquet_hold_lists_of_words_and_tags(tmp_path):
    words, tags = ([[pair[i] for pair in sentence] for sentence in SENTENCES] for i in (0, 1))
    records = [{"id": i, "tokens": w, "ner_tags": t} for i, (w, t) in enumerate(zip(words, tags, strict=True))]
    path = write(tmp_path / "x.jsonl", "\n\n".join(map(json.dumps, records)))
    assert read(path)["train"] == SENTENCES
    pq.write_table(pa.table({"w": words, "t": tags}), tmp_path / "x.parquet")
    assert read(tmp_path / "x.parquet", words_column="w", tags_column="t")["train"] == SENTENCES
    with pytest.raises(DataError, match=r"no column 'words'"):
        read(tmp_path / "x.parquet")
    for bad, message in (
        ('{"words": ["a", "b"], "tags": ["O"]}', r"bad\.jsonl:2: 2 words have 1 tags"),
        ('{"words": [], "tags": []}', r"bad\.jsonl:2: the sentence has no words"),
        ('{"words": ["a", null], "tags": ["O", "O"]}', r"bad\.jsonl:2: a word is empty"),
        ('{"words": "a b", "tags": ["O", "O"]}', r"bad\.jsonl:2: words is not a list of words but 'a b'"),
        ('{"words": ["a", "b"], "tags": ["O", "I-PER"]}', r"bad\.jsonl:2, word 2: the tag 'I-PER' goes on"),
        ('{"words": ["a"]', r"bad\.jsonl:2: the line is not valid JSON"),
    ):
        path = write(tmp_path / "bad.jsonl", '{"words": ["a", "Al"], "tags": ["O", "B-PER"]}\n' + bad)
        with pytest.raises(DataError, match=message):
            read(path)
        assert len(read(path, on_bad_row="skip")["train"]) == 1


def test_tags_that_are_numbers_need_names(tmp_path):
    path = write(tmp_path / "x.jsonl", '{"tokens": ["Ann", "Smith", "won"], "ner_tags": [1, 2, 0]}')
    with pytest.raises(DataError, match=r"are numbers \(1, 2, 0, …\).*dataset\.label_names=\[O,B-PER"):
        read(path)
    assert tags_of(path, label_names=["O", "B-PER", "I-PER"]) == [["B-PER", "I-PER", "O"]]


def test_iob1_is_read_as_iob2(tmp_path):
    train = "Ann\tI-PER\nBo\tB-PER\nCy\tI-PER\nParis\tI-LOC\nwon\tO\n\nRio\tI-LOC\nBob\tI-PER\n"
    path = write(tmp_path / "train.txt", train)
    assert tags_of(path) == [["B-PER", "B-PER", "I-PER", "B-LOC", "O"], ["B-LOC", "B-PER"]]
    tables, names, _, note = read_splits(DatasetConfig(), {"train": path, "val": path})
    assert names == ("O", "B-LOC", "B-PER", "I-PER")
    assert tables["val"] == tables["train"]
    assert note == ("tags in IOB1, read as IOB2",)


def test_a_split_without_neighbouring_entities_does_not_hide_that_the_tags_are_iob1(tmp_path):
    train = write(tmp_path / "train.txt", "Ann\tI-PER\nBo\tB-PER\nwon\tO\n")
    val = write(tmp_path / "val.txt", "Ann\tI-PER\nwon\tO\n")
    assert read({"train": train, "val": val})["val"] == [[("Ann", "B-PER"), ("won", "O")]]


@pytest.mark.parametrize(
    ("tags", "fault"),
    [
        ("B-PER E-PER S-LOC O B-LOC I-LOC E-LOC", None),
        ("B-PER L-PER U-LOC O", None),
        ("S-LOC B-PER O E-PER", (2, "without end")),
        ("S-LOC O E-PER", (3, "did not begin")),
        ("S-LOC B-PER E-LOC", (2, "without end")),
        ("B-PER E-PER B-PER", (3, "without end")),
    ],
)
def test_schemes_that_mark_the_end_of_entities_are_checked(tmp_path, tags, fault):
    path = write(tmp_path / "t.txt", "".join(f"w\t{tag}\n" for tag in tags.split()))
    if fault is None:
        assert tags_of(path) == [tags.split()]
    else:
        with pytest.raises(DataError, match=rf"t\.txt:{fault[0]}: .*{fault[1]}"):
            read(path)


def test_parts_of_speech_have_no_scheme(tmp_path):
    assert tags_of(write(tmp_path / "t.txt", "I\tPRON\nrun\tVERB\n")) == [["PRON", "VERB"]]


def test_a_tag_that_training_lacks_is_named_with_its_place(tmp_path):
    train, val = write(tmp_path / "train.txt", CONLL), write(tmp_path / "dev.txt", "a\tO\n\nb\tO\nc\tB-LOX\n")
    with pytest.raises(DataError, match=r"dev\.txt:4: the tag 'B-LOX'.*did you mean 'B-LOC'.*dataset\.label_names"):
        read({"train": train, "val": val})
    tables, _, skipped, _ = read_splits(DatasetConfig(on_bad_row="skip"), {"train": train, "val": val})
    assert tables["val"]["text"].to_pylist() == ["a"]
    assert skipped == {"unknown tag": 1}
    names = ["O", "B-LOX", "B-LOC", "B-PER", "I-PER"]
    assert read({"train": train, "val": val}, label_names=names)["val"][1] == [("b", "O"), ("c", "B-LOX")]


def test_only_a_test_file_may_have_no_tags(tmp_path):
    train, bare = write(tmp_path / "train.txt", CONLL), write(tmp_path / "bare.txt", "Ann\nwon\n\nYork\n")
    assert read({"train": train, "test": bare})["test"] == [[("Ann", None), ("won", None)], [("York", None)]]
    with pytest.raises(DataError, match=r"bare\.txt:1 has a single column and so no tags"):
        read({"train": train, "val": bare})
    with pytest.raises(DataError, match="is empty"):
        read(write(tmp_path / "nothing.txt", "\n\n"))


def found(**settings: object) -> dict[str, str]:
    """The name of each split's file."""
    where = locate_dataset(DatasetConfig(name="conll", **settings), "nowhere", "tagging").description
    return {split: Path(path).name for split, path in (part.split(" ") for part in where.split(", "))}


@pytest.mark.parametrize(
    "names",
    [
        ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"),
        ("eng.train", "eng.testa", "eng.testb"),
        ("train.txt", "valid.txt", "test.txt"),
        ("en_ewt-ud-train.iob2", "en_ewt-ud-dev.iob2", "en_ewt-ud-test.iob2"),
        ("train.jsonl", "validation.jsonl", "test.jsonl"),
    ],
)
def test_usual_file_names_tell_the_split(tmp_path, names):
    for name in (*names, "README.md", "trainer.log", "latest.txt"):
        write(tmp_path / name, CONLL)
    assert found(path=str(tmp_path)) == dict(zip(("train", "val", "test"), names, strict=True))


def test_files_can_be_named_and_doubt_is_told(tmp_path):
    for name in ("train.txt", "dev.txt", "valid.txt", "mine.tsv"):
        write(tmp_path / name, CONLL)
    with pytest.raises(DataError, match=r"more than one val split \(dev\.txt, valid\.txt\).*dataset\.val_file"):
        found(path=str(tmp_path))
    named = found(path=str(tmp_path), train_file="mine.tsv", val_file="dev.txt")
    assert named == {"train": "mine.tsv", "val": "dev.txt"}
    assert found(path=str(tmp_path / "mine.tsv")) == {"train": "mine.tsv"}
    (tmp_path / "empty").mkdir()
    for settings, message in (
        ({}, r"needs data: dataset\.path"),
        ({"path": str(tmp_path / "empty")}, r"holds no file such as train\.txt"),
        ({"path": str(tmp_path / "trian.txt")}, r"did you mean .*train\.txt"),
        ({"path": str(tmp_path), "val_file": "none.txt"}, r"dataset\.val_file=none\.txt does not exist"),
    ):
        with pytest.raises(DataError, match=message):
            found(**settings)


def test_schemes_types_and_the_order_of_tags():
    tags = ["I-b", "O", "B-a", "B-b", "I-a"]
    assert sort_tags(tags) == ("O", "B-a", "I-a", "B-b", "I-b")
    assert sort_tags(["VERB", "NOUN", "O"]) == ("O", "NOUN", "VERB")
    assert sort_tags(["S-a", "E-a", "I-a", "B-a"]) == ("B-a", "I-a", "E-a", "S-a")
    assert [scheme_of(tags), scheme_of(["S-a"]), scheme_of(["U-a", "B-a"]), scheme_of(["B", "I", "O"])] == [
        *("IOB2", "IOBES", "BILOU", "IOB2")
    ]
    assert scheme_of(["O"]) is scheme_of(["NN", "B-a"]) is None
    assert entity_types(tags) == ("a", "b")
    assert entity_types(["B-creative-work"]) == ("creative-work",)
    assert entity_types(["O", "NN", "B-a"]) == ("B-a", "NN")


def test_missing_splits_are_held_out_and_rows_limited(tmp_path):
    path = write(tmp_path / "all.conll", "\n".join(f"w{i}\tO\nAnn\tB-PER\n" for i in range(50)))
    config = DatasetConfig(name="conll", path=str(path), limit_train=20)
    dataset = locate_dataset(config, str(tmp_path), "tagging").load()
    assert {split: table.num_rows for split, table in dataset.splits.items()} == {"train": 20, "val": 10, "test": 10}
    assert (dataset.task, dataset.label_names, dataset.judged_split) == ("tagging", ("O", "B-PER"), "test")
    first = dataset.splits["test"].slice(0, 1).to_pylist()[0]
    assert first["text"] == " ".join(first["words"])
    assert first["label"] == [0, 1]
    assert dataset.texts == 80
    as_files = DatasetConfig(name="files", path=str(path), limit_train=20)
    assert locate_dataset(as_files, str(tmp_path), "tagging").load().fingerprint == dataset.fingerprint


def test_wnut17_is_fetched_once_and_read_from_a_folder_too(tmp_path, monkeypatch):
    names = ["wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"]
    source = locate_dataset(DatasetConfig(name="wnut17"), str(tmp_path), "tagging")
    assert list(source.urls) == [f"{wnut17._URL}/{name}" for name in names]

    def fake_fetch(url, destination, *checks):
        destination.parent.mkdir(parents=True, exist_ok=True)
        write(destination, CONLL)

    monkeypatch.setattr(dataset_source, "fetch", fake_fetch)
    dataset = locate_dataset(
        DatasetConfig(name="wnut17", url="https://mirror.example/w/"), str(tmp_path), "tagging"
    ).load()
    assert {split: table.num_rows for split, table in dataset.splits.items()} == {"train": 2, "val": 2, "test": 2}
    assert locate_dataset(DatasetConfig(name="wnut17"), str(tmp_path), "tagging").urls == ()
    folder = tmp_path / "datasets" / "wnut17"
    by_path = locate_dataset(DatasetConfig(name="wnut17", path=str(folder)), str(tmp_path), "tagging")
    assert by_path.load().fingerprint == dataset.fingerprint
    (folder / names[1]).unlink()
    with pytest.raises(DataError, match=r"has no emerging\.dev\.conll"):
        locate_dataset(DatasetConfig(name="wnut17", path=str(folder)), str(tmp_path), "tagging")


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("tagging", {"name": "conll", "text_column": "x"}, r"does not use dataset\.text_column; leave it out"),
        ("tagging", {"name": "wnut17", "tags_column": "1"}, r"does not use dataset\.tags_column; .*dataset=conll"),
        ("classification", {"name": "files", "words_column": "x"}, r"does not use dataset\.words_column"),
        ("regression", {"name": "files", "label_names": ["a"]}, r"task=regression does not use dataset\.label_names"),
        ("classification", {"name": "wnut17"}, "has labels for task=tagging, not for task=classification"),
        ("tagging", {"name": "conll", "path": "{}", "url": "https://example.org"}, r"does not use dataset\.url"),
    ],
)
def test_settings_that_do_not_belong_to_a_dataset_are_refused(tmp_path, task, settings, message):
    settings = {key: value.format(tmp_path) if isinstance(value, str) else value for key, value in settings.items()}
    with pytest.raises(DataError, match=message):
        locate_dataset(DatasetConfig(**settings), str(tmp_path), task)


def test_a_dataset_of_tagged_words_chooses_the_task_and_a_recipe_keeps_it():
    for words in (["dataset=wnut17"], ["experiment=wnut17_minilm"], ["dataset=conll", "debug=fast"]):
        config, _ = compose_config(words)
        assert (config.task.name, config.task.main_metric, config.model.pooling) == ("tagging", "f1", "none")
    assert compose_config(["dataset=files", "task=tagging"])[0].model.pooling == "none"
    assert compose_config(["experiment=wnut17_minilm", "dataset=reviews"])[0].task.name == "classification"
    with pytest.raises(ConfigError, match=r"dataset\.long_text=head_tail"):
        compose_config(["dataset=wnut17", "dataset.long_text=head_tail"])


def test_a_file_of_which_nothing_is_left_and_a_single_tag_are_refused(tmp_path):
    broken = write(tmp_path / "broken.conll", "a\tB-X\nb\tI-Y\n\n" * 3)
    with pytest.raises(DataError, match=r"broken\.conll holds no usable sentence \(3 sentences: broken entity\)"):
        read(broken, on_bad_row="skip")
    config = DatasetConfig(name="conll", path=str(write(tmp_path / "same.conll", "a\tO\n\n" * 9)))
    with pytest.raises(DataError, match=r"only the tag 'O' was found, .* check dataset\.tags_column"):
        locate_dataset(config, str(tmp_path), "tagging").load()


def conllu(*sentences: str) -> str:
    """CoNLL-U of `ID FORM UPOS` triples."""
    rows = [["\t".join([i, form, "_", upos, *"______"]) for i, form, upos in _triples(s)] for s in sentences]
    return "".join(f"# sent_id = {i}\n#\ttext = {i}\n" + "\n".join(row) + "\n\n" for i, row in enumerate(rows))


def _triples(sentence: str) -> list[tuple[str, ...]]:
    return [tuple(word.split()) for word in sentence.split(",")]


SPANISH = "1-2 vámonos _, 1 vamos VERB, 2 nos PRON, 3 al ADP"


def test_ranges_empty_nodes_and_comments_of_conllu_are_no_words(tmp_path):
    path = write(tmp_path / "x.conllu", conllu(SPANISH, "0.1 él _, 1 voy VERB, 1.1 yo PRON, 2 ya ADV"))
    expected = [[("vamos", "VERB"), ("nos", "PRON"), ("al", "ADP")], [("voy", "VERB"), ("ya", "ADV")]]
    assert read(path)["train"] == read(path, words_column="1", tags_column="3")["train"] == expected
    *_, notes = read_splits(DatasetConfig(), {"train": path})
    assert notes[1].startswith(
        f"{path} numbers its words, as CoNLL-U does: words come from column 1 and tags from column 3"
    )
    assert notes[1].endswith("1 ranges such as 1-2 and 2 empty nodes such as 8.1 are no words")
    dataset = locate_dataset(
        DatasetConfig(name="conll", path=str(path), val_fraction=0, test_fraction=0), "", "tagging"
    )
    assert dataset.load().notes == notes[1:]


def test_numbers_before_words_are_no_words_in_other_files_either(tmp_path):
    german = "#\thttp://x\n1\tSchartau\tB-PER\tO\n2\tsagte\tO\tO\n\n#\thttp://y\n1\t2013\tO\tO\n2\tOslo\tB-LOC\tO\n"
    path = write(tmp_path / "x.tsv", german)
    assert read(path, tags_column="2")["train"][1] == [("2013", "O"), ("Oslo", "B-LOC")]
    numbers = write(tmp_path / "n.txt", "1\tO\n2\tB-X\n\n1\tO\n3\tO\n")  # words that are numbers
    assert read(numbers)["train"] == [[("1", "O"), ("2", "B-X")], [("1", "O"), ("3", "O")]]
    spread = write(tmp_path / "s.txt", "7\tx\tO\n1-2\ty\tB-X\n\n8\tz\tO\n")
    assert [word for word, _ in read(spread)["train"][0]] == ["7", "1-2"]


def test_a_mistake_behind_lines_that_are_no_words_is_named_by_its_own_line(tmp_path):
    bad = (
        "1\tvámonos\tO\n# a comment within\n2\tnos\tO\n3\tal\tO\n\n# x\n1\tAnn\tB-PER\n1.1\t_\t_\n# y\n2\twon\tI-LOC\n"
    )
    with pytest.raises(DataError, match=r"x\.txt:10: the tag 'I-LOC' goes on"):
        read(write(tmp_path / "x.txt", bad))
