"""Rows that were encoded ahead: written as shards, read back as data to train on."""
