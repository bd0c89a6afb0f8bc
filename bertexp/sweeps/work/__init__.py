"""What works on a study: its rows, trials and workers, the parent run and the summary."""
