"""The numbers that define a BERT encoder, known without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BertArchitecture:
    """Sizes and constants of a BERT encoder (Devlin et al. 2019, section 3)."""

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_positions: int = 512
    type_vocab_size: int = 2  # 0: no type embeddings (DistilBERT)
    activation: str = "gelu_tanh"  # gelu_tanh (Google's approximation) | gelu_erf (exact) | relu
    layer_norm_epsilon: float = 1e-12
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    has_pooler: bool = True  # False: the source has no weights for it (DistilBERT), and pooling must not read it

    def layer_parameters(self) -> int:
        """Number of weights in one transformer layer."""
        h, i = self.hidden_size, self.intermediate_size
        return 4 * (h * h + h) + (h * i + i) + (i * h + h) + 2 * 2 * h

    def pooler_parameters(self) -> int:
        """Number of weights in the dense tanh layer over [CLS]."""
        return self.hidden_size * self.hidden_size + self.hidden_size

    def encoder_parameters(self) -> int:
        """Number of weights in the whole encoder, pooler included."""
        embeddings = self.vocab_size + self.max_positions + self.type_vocab_size + 2  # tables, and their LayerNorm
        return embeddings * self.hidden_size + self.num_layers * self.layer_parameters() + self.pooler_parameters()
