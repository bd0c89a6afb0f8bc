"""The device of a process, also of one whose TensorFlow works already."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from bertexp.config.schema import TrainerConfig
from bertexp.errors import EnvironmentProblem
from bertexp.system import devices

GPU = SimpleNamespace(name="/physical_device:GPU:0", device_type="GPU")


@pytest.fixture
def machine(monkeypatch):
    """Stands in for TensorFlow's devices: one GPU, which a TensorFlow that has begun keeps."""
    machine = SimpleNamespace(visible=[GPU], has_begun=False, growing=[])

    def change(action):
        if machine.has_begun:
            raise RuntimeError("Visible devices cannot be modified after being initialized")
        action()

    def set_visible(chosen, kind):
        change(lambda: setattr(machine, "visible", list(chosen)))

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [GPU])
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: machine.visible)
    monkeypatch.setattr(tf.config, "set_visible_devices", set_visible)
    experimental = tf.config.experimental
    monkeypatch.setattr(experimental, "set_memory_growth", lambda gpu, on: change(lambda: machine.growing.append(gpu)))
    monkeypatch.setattr(experimental, "get_device_details", lambda gpu: {"device_name": "NVIDIA H100"})
    return machine


@pytest.mark.parametrize("accelerator", ["auto", "gpu"])
def test_a_gpu_is_taken_and_its_memory_grows(machine, accelerator):
    assert devices.configure(TrainerConfig(accelerator=accelerator), 1) == "GPU NVIDIA H100"
    assert machine.growing == [GPU]


def test_a_gpu_is_hidden_from_a_run_on_the_cpu(machine):
    assert devices.configure(TrainerConfig(accelerator="cpu"), 1).startswith("CPU")
    assert machine.visible == []


@pytest.mark.parametrize("accelerator", ["auto", "gpu"])
def test_a_tensorflow_that_works_already_keeps_its_gpu(machine, accelerator):
    machine.has_begun = True
    assert devices.configure(TrainerConfig(accelerator=accelerator), 1) == "GPU NVIDIA H100"


def test_a_gpu_in_use_that_cannot_be_hidden_is_said(machine):
    machine.has_begun = True
    found = devices.configure(TrainerConfig(accelerator="cpu"), 1)
    assert found.startswith("GPU NVIDIA H100, which TensorFlow had begun with")


def test_a_gpu_that_the_notebook_has_hidden_is_not_taken(machine):
    machine.visible = []
    assert devices.configure(TrainerConfig(), 1).startswith("CPU")
    with pytest.raises(EnvironmentProblem, match="sees no GPU"):
        devices.configure(TrainerConfig(accelerator="gpu"), 1)
