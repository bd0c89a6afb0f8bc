"""A user's own data: files with columns, or folders of texts."""
