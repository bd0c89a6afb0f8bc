"""Hugging Face at its best on a CPU: Trainer with dynamic padding and batches grouped by length, predictions by its pipeline and of
texts sorted by length in inference mode, the Rust tokenizer.

Random encoders have its own default activation, the exact GELU: that of BERT's first code, by tanh, is PyTorch's slow way. The
two functions differ in the third decimal, and neither has more to compute.
"""

from __future__ import annotations

import os
import tempfile
import time

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import pyarrow.parquet as pq
import torch
from serve import StepClock, serve
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    pipeline,
)


def build(request: dict):
    """Tokenizer and model: the given weights, or random ones of the same shape as the others'."""
    if request.get("weights"):
        tokenizer = BertTokenizerFast.from_pretrained(request["weights"])
        return tokenizer, AutoModelForSequenceClassification.from_pretrained(request["weights"], num_labels=2)
    tokenizer = BertTokenizerFast(vocab=request["vocab"], do_lower_case=True)
    hidden = request["hidden"]
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, num_hidden_layers=request["layers"],
        num_attention_heads=hidden // 64, intermediate_size=4 * hidden, num_labels=2,
    )  # fmt: skip
    return tokenizer, BertForSequenceClassification(config)


class Rows(torch.utils.data.Dataset):
    def __init__(self, table, tokenizer):
        texts = [table[name].to_pylist() for name in ("text", "text_pair") if name in table.column_names]
        self.encoded = tokenizer(*texts, truncation=True, max_length=128)
        self.labels = table["label"].to_pylist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict:
        return {name: values[row] for name, values in self.encoded.items()} | {"labels": self.labels[row]}


def train(request: dict) -> dict:
    """Seconds of a fit."""
    tokenizer, model = build(request)
    rows = Rows(pq.read_table(f"{request['rows']}/train.parquet"), tokenizer)
    if request.get("trainable") == "frozen":
        frozen = [model.base_model]
    elif request.get("trainable") == "top_layers":
        layers = model.base_model.encoder.layer
        frozen = [model.base_model.embeddings, *layers[: len(layers) // 2]]
    else:
        frozen = []
    for part in frozen:
        part.requires_grad_(False)
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(), num_train_epochs=request.get("epochs", 1), per_device_train_batch_size=32,
        learning_rate=3e-5, weight_decay=0.01, warmup_steps=2, train_sampling_strategy="group_by_length", report_to=[],
        save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    clock = StepClock()

    class Clock(TrainerCallback):
        def on_step_end(self, *_, **__) -> None:
            clock.tick()

    collator = DataCollatorWithPadding(tokenizer)
    Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collator, callbacks=[Clock()]).train()
    return {"rows": len(rows) * request.get("epochs", 1), "seconds": clock.seconds()}


_loaded: list = []


def predict(request: dict) -> dict:
    """Seconds to classify texts in batches of 32: by the pipeline as they come, as its users do, or sorted by length."""
    texts = pq.read_table(f"{request['rows']}/train.parquet")["text"].to_pylist()
    if not _loaded:
        tokenizer, model = build(request)
        _loaded.extend([tokenizer, model.eval()])
    classify = classify_sorted if request["sorted"] else classify_by_pipeline
    classify(texts[:32], *_loaded)
    begin = time.perf_counter()
    classify(texts, *_loaded)
    return {"rows": len(texts), "seconds": time.perf_counter() - begin}


def classify_by_pipeline(texts: list[str], tokenizer, model) -> list[list[dict]]:
    """The probabilities of each text, in the texts' order; the pipeline batches them itself."""
    answer = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu", top_k=None)
    return answer(texts, batch_size=32, truncation=True, max_length=512)


def classify_sorted(texts: list[str], tokenizer, model) -> list[list[float]]:
    """The probabilities of each text, in the texts' order; the longest come first, in batches of like length."""
    encoded = tokenizer(texts, truncation=True, max_length=512)
    order = sorted(range(len(texts)), key=lambda row: -len(encoded["input_ids"][row]))
    found: list[list[float]] = [[]] * len(texts)
    with torch.inference_mode():
        for first in range(0, len(order), 32):
            rows = order[first : first + 32]
            batch = tokenizer.pad(
                {name: [values[row] for row in rows] for name, values in encoded.items()}, return_tensors="pt"
            )
            for row, probabilities in zip(rows, model(**batch).logits.softmax(-1).tolist(), strict=True):
                found[row] = probabilities
    return found


def tokenize(request: dict) -> dict:
    """Seconds to turn texts into ids, without a Python object per token."""
    texts = pq.read_table(f"{request['rows']}/train.parquet")["text"].to_pylist()
    rust = BertTokenizerFast(vocab=request["vocab"], do_lower_case=True).backend_tokenizer
    rust.encode_batch_fast(texts[:64], add_special_tokens=False)
    begin = time.perf_counter()
    rust.encode_batch_fast(texts, add_special_tokens=False)
    return {"rows": len(texts), "seconds": time.perf_counter() - begin}


WORKS = {"train": train, "predict": predict, "tokenize": tokenize}

if __name__ == "__main__":
    serve(lambda request: WORKS[request["kind"]](request))
