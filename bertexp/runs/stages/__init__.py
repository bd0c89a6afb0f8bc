"""The stages of a run that need TensorFlow: its parts, frozen layers run once, what a test shows, files to submit."""
