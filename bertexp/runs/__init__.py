"""A run: its plan, its parts, its folder, its story."""
