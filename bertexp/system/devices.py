"""The only first importer of TensorFlow: legacy Keras, log noise, devices, precision, seeds, determinism."""

from __future__ import annotations

import contextlib
import os

from bertexp.config.schema import TrainerConfig
from bertexp.errors import EnvironmentProblem
from bertexp.system.machine import available_cores


def prepare() -> None:
    """Sets what must be set before TensorFlow's first import, then imports it.

    bertexp and its libraries use the package tf_keras by name, so a TensorFlow that a notebook imported before works too.
    """
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by default on CPUs without AVX-512; a quarter faster
    import tensorflow  # noqa: F401


def configure(trainer: TrainerConfig, seed: int) -> str:
    """Chooses the device, the precision and the seeds of this process.

    A TensorFlow that works already, as a notebook's may, keeps its devices; the words say so.

    Returns:
        The device in words, for the log.

    Raises:
        EnvironmentProblem: a GPU was asked for and TensorFlow sees none.
    """
    import tensorflow as tf
    import tf_keras

    with contextlib.suppress(RuntimeError):  # it works already
        if trainer.accelerator == "cpu":
            tf.config.set_visible_devices([], "GPU")
        for gpu in tf.config.get_visible_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    gpus, kept_threads = tf.config.get_visible_devices("GPU"), ""
    if trainer.accelerator == "gpu" and not gpus:
        raise EnvironmentProblem(
            "trainer.accelerator=gpu, but TensorFlow sees no GPU; `python -m bertexp doctor` tells why, "
            "trainer.accelerator=auto takes the CPU"
        )
    if not gpus:
        threads = 1 if _wanted_lanes(trainer) > 1 else available_cores()
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError:  # a notebook's TensorFlow that runs already keeps its threads
            kept_threads = (
                "; TensorFlow had begun with other threads for an operation, which only a new process changes"
            )
    tf_keras.mixed_precision.set_global_policy(trainer.precision)
    tf_keras.utils.set_random_seed(seed)
    if trainer.deterministic:
        tf.config.experimental.enable_op_determinism()
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
        kept = ", which TensorFlow had begun with: trainer.accelerator=cpu needs a new process"
        return f"GPU {', '.join(names)}" + (kept if trainer.accelerator == "cpu" else "")
    lanes = count_lanes(trainer)
    return f"CPU, {available_cores()} cores{f', each batch in {lanes} lanes' if lanes > 1 else ''}{kept_threads}"


def is_measured(trainer: TrainerConfig) -> bool:
    """Whether steps run where our ways to speed were measured, after ``configure``: on a CPU without XLA."""
    import tensorflow as tf

    return not trainer.jit_compile and not tf.config.get_visible_devices("GPU")


def count_lanes(trainer: TrainerConfig) -> int:
    """Parts of a batch to work on side by side (training/lanes.py), after ``configure``.

    ``trainer.lanes=auto`` takes the ways that were measured: 2 on a CPU of exactly two cores without XLA, with one thread for
    an operation, which ``configure`` asks for; 1 elsewhere, and if TensorFlow had begun to work with other threads before.
    """
    import tensorflow as tf

    on_cpu = not tf.config.get_visible_devices("GPU")
    one_thread = tf.config.threading.get_intra_op_parallelism_threads() == 1
    return _wanted_lanes(trainer) if trainer.lanes != "auto" or (on_cpu and one_thread) else 1


def _wanted_lanes(trainer: TrainerConfig) -> int:
    if trainer.lanes != "auto":
        return int(trainer.lanes)
    return 2 if available_cores() == 2 and not trainer.jit_compile else 1
