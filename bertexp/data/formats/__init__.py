"""From files of every kind to tables."""
