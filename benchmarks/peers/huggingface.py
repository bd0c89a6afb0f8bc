"""Fine-tunes with Hugging Face's Trainer at its best on a CPU: dynamic padding, batches grouped by length.

Usage: python huggingface.py WEIGHTS TRAIN.parquet TEST.parquet OUT.parquet SEED EPOCHS

Reads tables with the columns text, text_pair (optional) and label; writes the column `predicted` in the test's row order.
AdamW 5e-5 (epsilon 1e-8, decay 0.01), 10% linear warm-up, linear decay, batch 32, 128 tokens, clip 1.0, dropout 0.1.
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
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)


class Rows(torch.utils.data.Dataset):
    def __init__(self, path: str, tokenizer):
        table = pq.read_table(path)
        texts = [table[name].to_pylist() for name in ("text", "text_pair") if name in table.column_names]
        self.encoded = tokenizer(*texts, truncation=True, max_length=128)
        self.labels = table["label"].to_pylist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict:
        return {name: values[row] for name, values in self.encoded.items()} | {"labels": self.labels[row]}


def main(weights: str, train_path: str, test_path: str, out: str, seed: int, epochs: float) -> None:
    tokenizer = AutoTokenizer.from_pretrained(weights)
    train, test = Rows(train_path, tokenizer), Rows(test_path, tokenizer)
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(weights, num_labels=len(set(train.labels)))
    collator = DataCollatorWithPadding(tokenizer)
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
    Trainer(model=model, args=arguments, train_dataset=train, data_collator=collator).train()
    seconds = time.monotonic() - started
    model.eval()
    predicted: list[int] = []
    with torch.no_grad():
        for batch in torch.utils.data.DataLoader(test, 64, collate_fn=collator):
            batch.pop("labels")
            predicted += model(**batch).logits.argmax(-1).tolist()
    pq.write_table(pa.table({"predicted": predicted}), out)
    print(json.dumps({"train_seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]), float(sys.argv[6]))
