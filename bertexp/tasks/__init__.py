"""What can be predicted from a text: a folder for each task."""
