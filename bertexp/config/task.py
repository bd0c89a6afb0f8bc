"""The settings of a task, and what each task is judged by."""

from __future__ import annotations

from dataclasses import dataclass

from bertexp.config.checks import one_of, positive, require

METRICS = {  # of a labelled split, by task; the first is the main one unless task.main_metric names another
    "classification": ("accuracy", "precision", "recall", "f1", "mcc", "roc_auc", "loss"),
    "multi_label": ("f1", "f1_macro", "precision", "recall", "exact_match", "roc_auc", "loss"),
    "regression": ("pearson", "spearman", "rmse", "mae", "loss"),
    "tagging": ("f1", "precision", "recall", "accuracy", "loss"),
    "question_answering": ("f1", "exact_match", "loss"),
}
TOKEN_TASKS = ("tagging", "question_answering")  # they read the encoder's output at every position


def metric_mode(name: str) -> str:
    """``min`` for losses, errors and durations, ``max`` for everything else."""
    return "min" if name.endswith(("loss", "rmse", "mae", "_ms")) else "max"


@dataclass
class TaskConfig:
    """What is predicted from a text."""

    name: str = "classification"  # classification | multi_label | regression | tagging | question_answering
    binary_head: str = "sigmoid"  # two classes: sigmoid (one logit) | softmax (two logits)
    threshold: float = 0.5  # multi_label: a class is given from this probability on
    max_answer_length: int = 30  # question_answering: word pieces
    main_metric: str | None = None  # null: the task's own; chooses the checkpoint unless trainer.monitor does

    def __post_init__(self) -> None:
        one_of("task.name", self.name, tuple(METRICS))
        one_of("task.binary_head", self.binary_head, ("sigmoid", "softmax"))
        positive("task.max_answer_length", self.max_answer_length)
        require(0 < self.threshold < 1, f"task.threshold={self.threshold} must lie between 0 and 1")
        if self.main_metric is not None:
            others = [task for task, metrics in METRICS.items() if self.main_metric in metrics and task != self.name]
            require(
                not others or self.main_metric in METRICS[self.name],
                f"task.main_metric={self.main_metric}, which may be the data set's own, is measured by task="
                f"{' or '.join(others)} and not by task={self.name}: leave task={self.name} out, or give "
                f"task.main_metric={METRICS[self.name][0]} with it",
            )
            one_of("task.main_metric", self.main_metric, METRICS[self.name])

    def count_units(self, classes: int) -> int:
        """How many logits the head gives, for each text or each word of it."""
        if self.name == "classification" and classes == 2 and self.binary_head == "sigmoid":
            return 1
        return {"regression": 1, "question_answering": 2}.get(self.name, classes)
