"""The commands beside a run: each reads its words, calls rooms and prints."""
