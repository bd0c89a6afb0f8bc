"""What is timed, against whom, and what bertexp must reach; each row is work of the same rows on both sides."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

L4 = {"layers": 4, "hidden": 512}
L6 = {"layers": 6, "hidden": 384, "pretrained": True}
OURS = "bertexp"
OURS_PREDICTING = "bertexp-predict"  # a process of its own, as it is for a user


@dataclass(frozen=True)
class Work:
    """One row of the table.

    ``peers`` maps a column's name to the process that does it, the request's own fields and the ratio that bertexp must reach
    (None: it is shown and asks for nothing); rows are counts for the short and the full benchmark.
    """

    name: str
    data: str  # mrpc | imdb | sst2 | mixed
    rows: tuple[int, int]
    request: dict
    peers: dict[str, tuple[str, dict, float | None]] = field(default_factory=dict)
    ours: str = OURS  # the process of our side


TUTORIAL = {"kind": "tutorial"}
WORKS = [
    Work("train L-4 H-512, MRPC", "mrpc", (512, 2048), {"kind": "train", **L4}, {
        "Hugging Face": ("huggingface", {}, 1.55),
        "tutorial script": ("tensorflow", TUTORIAL, 3.0),
        "Model Garden, padded": ("tensorflow", {"padding": "128"}, 2.5),
        "Model Garden, same batches": ("tensorflow", {"padding": "same"}, 1.3),
    }),
    Work("train L-4 H-512, IMDB", "imdb", (320, 1024), {"kind": "train", **L4}, {
        "Hugging Face": ("huggingface", {}, 1.45),
        "tutorial script": ("tensorflow", TUTORIAL, 1.4),
    }),
    Work("train L-4 H-512, SST-2", "sst2", (1536, 8192), {"kind": "train", **L4}, {
        "Hugging Face": ("huggingface", {}, 1.35),
        "tutorial script": ("tensorflow", TUTORIAL, 10.0),
    }),
    Work("train MiniLM-L6, SST-2", "sst2", (1536, 8192), {"kind": "train", **L6}, {
        "Hugging Face": ("huggingface", {}, 1.25),
    }),
    Work("trainable=frozen, IMDB, 5 epochs", "imdb", (256, 2000), {"kind": "train", "trainable": "frozen", "epochs": 5, **L4}, {
        "Hugging Face, encoder frozen": ("huggingface", {}, 5.3),
    }),
    Work("trainable=top_layers, half, MRPC, 3 epochs", "mrpc", (320, 1024),
         {"kind": "train", "trainable": "top_layers", "epochs": 3, **L4}, {
        "Hugging Face, same layers frozen": ("huggingface", {}, 2.0),
    }),
    Work("predict, IMDB and SST-2 mixed, up to 512 tokens", "mixed", (128, 1000), {"kind": "predict", **L4}, {
        "Hugging Face pipeline, rows as they come": ("huggingface", {"sorted": False}, 2.7),
        "Hugging Face, rows sorted by length": ("huggingface", {"sorted": True}, None),  # no floor is set yet
    }, OURS_PREDICTING),
    Work("tokenize IMDB", "imdb", (4000, 20000), {"kind": "tokenize"}, {
        "Hugging Face tokenizers (Rust)": ("huggingface", {}, 6.0),
    }),
    Work("optimizer step of a fit, 28.8 million parameters", "mrpc", (3301, 3301), {"kind": "optimizer", **L4}, {
        "AdamWeightDecay": ("tensorflow", {}, None),
    }),
    Work("the same, every word in use", "mrpc", (64, 64), {"kind": "optimizer", "whole": True, **L4}, {
        "AdamWeightDecay": ("tensorflow", {}, None),
    }),
    Work("arithmetic of a step at 128 tokens / its largest product", "mrpc", (64, 64), {"kind": "arithmetic", **L4}),
]  # fmt: skip
ARITHMETIC = 0.60  # of the largest product's
PADDED_STEPS = (5, 24)


class Rows:
    """The rows of each work as files that every peer reads."""

    def __init__(self, folder: Path, data: Path | None, vocab: Path | None):
        self._folder, self._data, self.vocab = folder, data, vocab
        self._tables: dict[str, pa.Table] = {}

    def write(self, name: str, count: int) -> Path:
        """A folder with ``train.parquet`` (text, text_pair, label), ``few.parquet`` and ``batches.parquet`` of ``count`` rows."""
        folder = self._folder / f"{name}-{count}"
        if not (folder / "batches.parquet").exists():
            folder.mkdir(parents=True, exist_ok=True)
            table = self._load(name)
            order = np.random.default_rng(0).permutation(table.num_rows)
            table = table.take(np.resize(order, count))
            pq.write_table(table, folder / "train.parquet")
            pq.write_table(table.slice(0, 32), folder / "few.parquet")
            pq.write_table(self._pack(table), folder / "batches.parquet")
        return folder

    def has_pair(self, name: str) -> bool:
        return "text_pair" in self._load(name).column_names

    def _load(self, name: str) -> pa.Table:
        if name not in self._tables:
            parts = ["imdb", "sst2"] if name == "mixed" and self._data else [name]
            tables = [self._read(part) for part in parts]
            least = min(table.num_rows for table in tables)
            self._tables[name] = pa.concat_tables([table.slice(0, least) for table in tables])
        return self._tables[name]

    def _read(self, name: str) -> pa.Table:
        """Training rows of a real data set under the data folder, else of the embedded reviews."""
        from bertexp.config.resolve import compose_config
        from bertexp.runs.plan import make_plan

        paths = {"imdb": "imdb/aclImdb_v1.tar.gz", "mrpc": "glue/MRPC", "sst2": "glue/SST-2"}
        where = [f"dataset.path={self._data / paths[name]}"] if self._data else []
        config, _ = compose_config([f"dataset={name if self._data else 'reviews'}", *where])
        table = make_plan(config).dataset.load().splits["train"]
        return table.select([column for column in ("text", "text_pair", "label") if column in table.column_names])

    def _pack(self, table: pa.Table) -> pa.Table:
        """bertexp's own batches of 32 rows up to 128 tokens, for Model Garden to train on the same."""
        from bertexp.system import devices

        devices.prepare()
        from bertexp.data.examples.loaders import make_train_order
        from bertexp.data.tokens.packing import Shape, TokenColumn, pack_batch, packed_lengths
        from bertexp.data.tokens.tokenizer import Tokenizer

        tokenizer = Tokenizer(tuple(self.vocab.read_text(encoding="utf-8").splitlines()), True)
        names = [column for column in ("text", "text_pair") if column in table.column_names]
        columns = [TokenColumn(*tokenizer.encode(table[name])) for name in names]
        lengths, labels = packed_lengths(columns, 128), table["label"].to_numpy()
        found: dict[str, list] = {"ids": [], "types": [], "labels": []}
        for rows in make_train_order(lengths, 32, seed=42, epoch=0):
            batch = pack_batch(columns, rows, Shape(128), tokenizer.special_ids)
            for key, feature in (("ids", "input_word_ids"), ("types", "input_type_ids")):
                found[key].append([row[: lengths[at]].tolist() for row, at in zip(batch[feature], rows, strict=True)])
            found["labels"].append(labels[rows].tolist())
        return pa.table(found)
