"""Sums the statistics of training steps; waits for the device only when it is asked for a figure."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf

from bertexp.training.checkpoint import LoopState


class StepStatistics:
    """Keeps the sums of the epoch and of the interval since the last logged step in ``state``, so that both resume."""

    def __init__(self, state: LoopState, score: str):
        self._state, self._score = state, score
        self._waiting: list[tf.Tensor] = []
        self._clock_started, self._clock_rows = time.monotonic(), 0.0

    def add(self, statistics: tf.Tensor) -> None:
        """Takes the <float32>[6] of one ``TrainStep`` call; does not wait for it."""
        self._waiting.append(statistics)

    def read(self) -> bool:
        """Brings the sums up to date; returns whether every loss and gradient was a finite number."""
        if not self._waiting:
            return True
        total = np.sum([np.asarray(statistics, np.float64) for statistics in self._waiting], axis=0)
        self._waiting.clear()
        self._state.epoch_sums = (total + self._state.epoch_sums).tolist()
        self._state.interval_sums = (total + self._state.interval_sums).tolist()
        self._clock_rows += float(total[3])
        return bool(np.isfinite(total).all())

    def epoch_means(self) -> dict[str, float]:
        """Mean loss and score of the epoch so far."""
        loss, score, weight = self._state.epoch_sums[:3]
        return {"loss": loss / max(weight, 1.0), self._score: score / max(weight, 1.0)}

    def end_interval(self) -> dict[str, float]:
        """Means since the last call, and rows per second of pure training; begins a new interval."""
        loss, score, weight, _, norm, updates = self._state.interval_sums
        seconds = time.monotonic() - self._clock_started
        metrics = {
            "train/loss": loss / max(weight, 1.0),
            f"train/{self._score}": score / max(weight, 1.0),
            "train/gradient_norm": norm / max(updates, 1.0),
            "train/examples_per_second": self._clock_rows / max(seconds, 1e-9),
        }
        self._state.interval_sums = [0.0] * 6
        self._clock_started, self._clock_rows = time.monotonic(), 0.0
        return metrics

    def leave_out(self, seconds: float) -> None:
        """Keeps time that was not spent on training out of the throughput."""
        self._clock_started += seconds
