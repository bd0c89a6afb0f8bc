"""From files of every kind to canonical tables: columns, rows, labels, splits."""
