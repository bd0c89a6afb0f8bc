"""Fine-tunes with Hugging Face's Trainer at its best on a CPU: dynamic padding, batches grouped by length.

Usage: python huggingface.py WEIGHTS TRAIN.parquet TEST.parquet OUT.parquet SEED EPOCHS [TASK [MAX_LENGTH [OVERLAP]]]

TASK is classification (default), regression, tagging or question_answering. Reads tables with the columns text, text_pair (optional)
and label; tagging reads words, question answering text (the question), text_pair (the context) and label (its answers). Writes the column
`predicted` in the test's row order: a class, a score, a tag for every word, or an answer.
AdamW 5e-5 (epsilon 1e-8, decay 0.01), 10% linear warm-up, linear decay, batch 32, clip 1.0, dropout 0.1.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

LONGEST_ANSWER = 30  # word pieces


class Rows(torch.utils.data.Dataset):
    """Encoded rows with their labels; question answering has a row for every window."""

    def __init__(self, encoded: dict[str, list], labels: dict[str, list]):
        self.encoded, self.labels = encoded, labels

    def __len__(self) -> int:
        return len(self.encoded["input_ids"])

    def __getitem__(self, row: int) -> dict:
        return {name: values[row] for name, values in (self.encoded | self.labels).items()}


class SequenceTask:
    """A class or a score for a text or a pair."""

    def __init__(self, tokenizer, max_length: int, is_regression: bool):
        self.tokenizer, self.max_length, self.is_regression = tokenizer, max_length, is_regression
        self.collator = DataCollatorWithPadding(tokenizer)

    def encode(self, table: pa.Table) -> Rows:
        texts = [table[name].to_pylist() for name in ("text", "text_pair") if name in table.column_names]
        return Rows(
            self.tokenizer(*texts, truncation=True, max_length=self.max_length), {"labels": table["label"].to_pylist()}
        )

    def make_model(self, weights: str, table: pa.Table):
        labels = 1 if self.is_regression else len(table["label"].unique())
        return AutoModelForSequenceClassification.from_pretrained(weights, num_labels=labels)

    def decode(self, table: pa.Table, rows: Rows, outputs: list) -> list:
        logits = torch.cat([output.logits for output in outputs])
        return (logits[:, 0] if self.is_regression else logits.argmax(-1)).tolist()


class TaggingTask:
    """A tag for every word, learned at its first piece."""

    def __init__(self, tokenizer, max_length: int):
        self.tokenizer, self.max_length = tokenizer, max_length
        self.collator = DataCollatorForTokenClassification(tokenizer)

    def encode(self, table: pa.Table) -> Rows:
        encoded = self.tokenizer(
            table["words"].to_pylist(), is_split_into_words=True, truncation=True, max_length=self.max_length
        )
        labels = []
        for row, tags in enumerate(table["label"].to_pylist()):
            words = encoded.word_ids(row)
            firsts = [word is not None and (not place or words[place - 1] != word) for place, word in enumerate(words)]
            labels.append([tags[word] if first else -100 for word, first in zip(words, firsts, strict=True)])
        return Rows(encoded, {"labels": labels})

    def make_model(self, weights: str, table: pa.Table):
        tags = {tag for row in table["label"].to_pylist() for tag in row}
        return AutoModelForTokenClassification.from_pretrained(weights, num_labels=max(tags) + 1)

    def decode(self, table: pa.Table, rows: Rows, outputs: list) -> list:
        predicted = [row for output in outputs for row in output.logits.argmax(-1).tolist()]
        return [
            [tag for tag, label in zip(tags, labels, strict=False) if label != -100]
            for tags, labels in zip(predicted, rows.labels["labels"], strict=True)
        ]


class AnswerTask:
    """The span of a context that answers a question; long contexts in windows that overlap."""

    def __init__(self, tokenizer, max_length: int, overlap: int):
        self.tokenizer, self.max_length, self.overlap = tokenizer, max_length, overlap
        self.collator = DataCollatorWithPadding(tokenizer)

    def encode(self, table: pa.Table) -> Rows:
        encoded = self.tokenizer(
            table["text"].to_pylist(), table["text_pair"].to_pylist(), truncation="only_second", stride=self.overlap,
            max_length=self.max_length, return_overflowing_tokens=True, return_offsets_mapping=True,
        )  # fmt: skip
        self.rows, self.spans = encoded.pop("overflow_to_sample_mapping"), []
        answers, starts, ends = table["label"].to_pylist(), [], []
        for window, offsets in enumerate(encoded.pop("offset_mapping")):
            context = [part == 1 for part in encoded.sequence_ids(window)]
            self.spans.append([span if inside else None for span, inside in zip(offsets, context, strict=True)])
            gold = answers[self.rows[window]]
            begin = gold[0]["start"] if gold else -1
            end = begin + len(gold[0]["text"]) if gold else -1
            first = [place for place, span in enumerate(self.spans[-1]) if span and span[0] <= begin < span[1]]
            last = [place for place, span in enumerate(self.spans[-1]) if span and span[0] < end <= span[1]]
            starts.append(first[0] if first and last else 0)
            ends.append(last[0] if first and last else 0)
        return Rows(encoded, {"start_positions": starts, "end_positions": ends})

    def make_model(self, weights: str, table: pa.Table):
        return AutoModelForQuestionAnswering.from_pretrained(weights)

    def decode(self, table: pa.Table, rows: Rows, outputs: list) -> list:
        best = [(-math.inf, "")] * table.num_rows
        contexts = table["text_pair"].to_pylist()
        starts = [row for output in outputs for row in output.start_logits]
        ends = [row for output in outputs for row in output.end_logits]
        for window, (start, end) in enumerate(zip(starts, ends, strict=True)):
            spans, row = self.spans[window], self.rows[window]
            inside = torch.tensor([span is not None for span in spans])
            size = len(spans)
            scores = start[:size, None] + end[None, :size]
            allowed = inside[:, None] & inside[None] & torch.ones(size, size).triu().bool()
            allowed &= torch.ones(size, size).tril(LONGEST_ANSWER - 1).bool()
            place = int(scores.masked_fill(~allowed, -math.inf).argmax())
            first, last = divmod(place, size)
            if scores[first, last] > best[row][0]:
                best[row] = (float(scores[first, last]), contexts[row][spans[first][0] : spans[last][1]])
        return [answer for _, answer in best]


def main(weights: str, train_path: str, test_path: str, out: str, seed: int, epochs: float, kind: str = "classification",
         max_length: int = 128, overlap: int = 64) -> None:  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(weights)
    if kind == "tagging":
        task = TaggingTask(tokenizer, max_length)
    elif kind == "question_answering":
        task = AnswerTask(tokenizer, max_length, overlap)
    else:
        task = SequenceTask(tokenizer, max_length, kind == "regression")
    table = pq.read_table(train_path)
    train = task.encode(table)
    torch.manual_seed(seed)
    model = task.make_model(weights, table)
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        num_train_epochs=epochs,
        per_device_train_batch_size=32,
        learning_rate=5e-5,
        warmup_steps=int(0.1 * math.ceil(len(train) / 32) * epochs),
        weight_decay=0.01,
        train_sampling_strategy="group_by_length",
        seed=seed,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    started = time.monotonic()
    Trainer(model=model, args=arguments, train_dataset=train, data_collator=task.collator).train()
    seconds = time.monotonic() - started
    model.eval()
    table = pq.read_table(test_path)
    test, outputs = task.encode(table), []
    with torch.no_grad():
        for batch in torch.utils.data.DataLoader(test, 64, collate_fn=task.collator):
            inputs = {name: values for name, values in batch.items() if name not in test.labels}
            outputs.append(model(**inputs))
    pq.write_table(pa.table({"predicted": task.decode(table, test, outputs)}), out)
    print(json.dumps({"train_seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]), float(sys.argv[6]), *sys.argv[7:8], *map(int, sys.argv[8:]))
