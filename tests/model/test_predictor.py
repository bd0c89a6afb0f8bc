"""The predict command on an exported model."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from tiny_export import PAIRS, TEXTS, VOCAB, make_model

from bertexp.commands.predict import main
from bertexp.serving.saved_model import pyfunc
from bertexp.serving.saved_model.export import export_saved_model
from bertexp.serving.saved_model.predictor import Predictor
from bertexp.serving.spec import ServingSpec
from bertexp.tasks.classification.task import Classification


@pytest.fixture(scope="module")
def pair_folder(tmp_path_factory):
    """An exported model of two texts and three classes."""
    spec = ServingSpec(Classification(("no", "maybe", "yes")), max_length=12, has_pair=True)
    return export_saved_model(make_model(3), VOCAB, True, spec, tmp_path_factory.mktemp("pair") / "model")


def test_predictions_do_not_depend_on_batches_or_order(pair_folder):
    predictor = Predictor(pair_folder)
    whole = predictor.predict({"text": TEXTS, "text_pair": PAIRS})
    for batch_size in (1, 4):
        again = predictor.predict({"text": TEXTS[::-1], "text_pair": PAIRS[::-1]}, batch_size)[::-1]
        for one, other in zip(whole, again, strict=True):
            assert (one.texts, one.answer["label"]) == (other.texts, other.answer["label"])
            mine, others = one.answer["probabilities"], other.answer["probabilities"]
            np.testing.assert_allclose(list(mine.values()), list(others.values()), atol=1e-6)
    for answer in (one.answer for one in whole):
        assert (
            answer["probability"] == max(answer["probabilities"].values()) == answer["probabilities"][answer["label"]]
        )
    assert predictor.predict({"text": [], "text_pair": []}) == []


def test_long_texts_come_fewer_at_a_time(pair_folder, monkeypatch):
    """Up to what is cut off: a batch of 8 may here hold 8 times 4 pieces."""
    monkeypatch.setattr(pyfunc, "_PIECES", 4)
    model = pyfunc.TextModel(pair_folder)
    sizes, serve = [], model._serve
    monkeypatch.setattr(model, "_serve", lambda **texts: sizes.append(len(texts["text"])) or serve(**texts))
    model._serve.structured_outputs = serve.structured_outputs
    texts = ["good " * 40, "bad", *["good film " * 4] * 3, *["good"] * 17]
    found = model.run({"text": texts, "text_pair": ["bad"] * len(texts)}, batch_size=8)
    assert sizes == [8, 8, 2, 2, 2]  # 18 short ones, two of 11 pieces, and the third with the one that is cut at 12
    np.testing.assert_allclose(found["probabilities"][2:5].std(axis=0), 0, atol=1e-6)
    assert len(found["label"]) == len(texts)


def test_wrong_number_of_columns_is_refused(pair_folder):
    with pytest.raises(ValueError, match="reads text and text_pair"):
        Predictor(pair_folder).predict({"text": TEXTS})


def test_table_json_and_csv_agree(pair_folder, tmp_path, capsys):
    words = [str(pair_folder), "A good film", "not bad", "bad\tfilms", "a, film"]
    assert main(words) == 0
    header, *table = capsys.readouterr().out.splitlines()
    assert header.split() == ["label", "probability", "text"]
    assert table[0].endswith("A good film | not bad")
    assert table[1].endswith("bad films | a, film")
    main([*words, "--json"])
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    main([*words, "--output", str(tmp_path / "out.csv")])
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for line, record, row in zip(table, records, rows, strict=True):
        assert line.split()[:2] == [record["label"], f"{record['probability']:.4f}"]
        assert (row["text"], row["text_pair"], row["label"]) == (record["text"], record["text_pair"], record["label"])
        assert float(row["p_maybe"]) == record["probabilities"]["maybe"]


def test_predictions_keep_the_columns_of_their_file(pair_folder, tmp_path, capsys):
    (tmp_path / "in.csv").write_text('id,label,first,text_pair\n7,yes,a film,bad\n9,no,"a, film",not bad\n')
    words = [str(pair_folder), "--file", str(tmp_path / "in.csv"), "--text-column", "first"]
    main([*words, "--output", str(tmp_path / "out.csv")])
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    capsys.readouterr()
    main([*words, "--json"])
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["id"], row["label_given"], row["first"]) for row in rows] == [
        ("7", "yes", "a film"),
        ("9", "no", "a, film"),
    ]
    for row, record in zip(rows, records, strict=True):
        assert record["id"] == int(row["id"])
        assert record["label"] == row["label"] == max(record["probabilities"], key=record["probabilities"].get)
