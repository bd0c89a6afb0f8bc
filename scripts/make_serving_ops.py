"""Writes bertexp/serving/saved_model/serving_ops.txt: the operations that the oldest supported TensorFlow Serving can run.

TF-Serving 2.15 is TensorFlow 2.15 linked with TensorFlow Text 2.12.1, so the list joins the core operations of the one
with the text operations of the other. Each is read from a Python that has them installed:

    python3.11 -m venv /tmp/tf215 && /tmp/tf215/bin/pip install tensorflow-cpu==2.15.1 "setuptools<80"
    python3.11 -m venv /tmp/tf212 && /tmp/tf212/bin/pip install tensorflow-cpu==2.12.1 tensorflow-text==2.12.1 "setuptools<80"
    python scripts/make_serving_ops.py --core /tmp/tf215/bin/python --text /tmp/tf212/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path

TARGET = Path(__file__).parents[1] / "bertexp" / "serving" / "saved_model" / "serving_ops.txt"

# Runs in the other Python: operations with a CPU kernel, before and after tensorflow_text registers its own.
PROBE = """
import json
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session as session
from tensorflow.python.framework import kernels

def names():
    registered = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
    runnable = {kernel.op for kernel in kernels.get_all_registered_kernels().kernel if kernel.device_type in ("CPU", "DEFAULT")}
    return {op.name for op in registered.op if op.name in runnable and not op.name.startswith("_")}

core, text, text_version = names(), set(), None
try:
    import tensorflow_text
    text, text_version = names() - core, tensorflow_text.__version__
except ImportError:
    pass
print(json.dumps({"tensorflow": tf.__version__, "tensorflow_text": text_version, "core": sorted(core), "text": sorted(text)}))
"""


def probe(python: str) -> dict:
    """The versions and operation names found in another Python."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    output = subprocess.run([python, "-c", PROBE], check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(output.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", required=True, metavar="PYTHON", help="a Python with TensorFlow 2.15")
    parser.add_argument("--text", required=True, metavar="PYTHON", help="a Python with TensorFlow Text 2.12.1")
    arguments = parser.parse_args()
    core, text = probe(arguments.core), probe(arguments.text)
    if not text["text"]:
        parser.error(f"{arguments.text} has no tensorflow-text")
    header = (
        f"# Operations with a CPU kernel: tensorflow {core['tensorflow']}, tensorflow-text {text['tensorflow_text']}.\n"
        "# Written by scripts/make_serving_ops.py.\n"
    )
    ops = sorted({*core["core"], *text["text"]})
    TARGET.write_text(header + "".join(f"{op}\n" for op in ops), encoding="utf-8")
    print(f"{TARGET}: {len(core['core'])} core and {len(text['text'])} text operations")


if __name__ == "__main__":
    main()
