"""The settings of the model."""

from __future__ import annotations

from dataclasses import dataclass

from bertexp.config.checks import Settings, require, setting
from bertexp.models.poolings.spec import POOLINGS


@dataclass
class ModelConfig(Settings, group="model"):
    """The encoder, where its weights come from, and the head on top."""

    name: str = setting("tiny", "shown in names of runs; model=<name> chooses it with what it needs")
    source: str = setting("random", "where the weights come from", choices=("tfhub", "google", "huggingface", "random"))
    path: str | None = setting(None, "handle, address, folder, archive or file; null: as tfhub_handle and its like say")
    num_layers: int | None = setting(None, "of the encoder; null: as the source says", above=0)
    hidden_size: int | None = setting(None, "width of the encoder; null: as the source says", above=0)
    num_heads: int | None = setting(None, "of attention; null: hidden_size / 64, or as the source says", above=0)
    type_vocab_size: int | None = setting(
        None, "type embeddings: a pair has two types, DistilBERT none; null: as the source says, or 2", choices=(0, 2)
    )
    tfhub_handle: str | None = setting(None, "template over {num_layers}, {hidden_size} and {num_heads}")
    tfhub_preprocess: str | None = setting(None, "handle, folder or archive of its SavedModel; or give vocab_file")
    google_checkpoint: str | None = setting(None, "template of the address of a Google checkpoint's archive")
    huggingface_repo: str | None = setting(None, "owner/name on the Hugging Face hub")
    vocab_file: str | None = setting(
        None, "a word piece a line; null: the source's; of random weights, the embedded one"
    )
    lowercase: bool | None = setting(None, "whether texts are put into lower case; null: as the source says")
    pooling: str | None = setting(
        None,
        "how one vector is made of a text's; null: pooler, and none for tasks that read every word",
        choices=POOLINGS,
    )
    dropout: float = setting(0.1, "before the head", minimum=0, below=1)
    encoder_dropout: float | None = setting(
        None, "within the encoder; null: as the source says (0.1)", minimum=0, below=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size and self.num_heads:
            require(
                self.hidden_size % self.num_heads == 0,
                f"model.hidden_size={self.hidden_size} cannot be divided into model.num_heads={self.num_heads}",
            )
