"""The SavedModel that a run ships: its graphs, and the one file that reads it where bertexp is not installed."""
