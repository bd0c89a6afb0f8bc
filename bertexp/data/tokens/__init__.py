"""Word pieces: the tokenizer, its cache, and how pieces are packed for the encoder."""
