"""Names and addresses of published weights: TF-Hub handles, archive templates, Hugging Face repositories."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from bertexp.config.schema import ModelConfig
from bertexp.errors import ConfigError, WeightsError
from bertexp.models.source.architecture import BertArchitecture

_HUB = "https://tfhub.dev/"
_VOCAB_SIZES = (("multi_cased", 119547), ("uncased", 30522), ("cased", 28996))
_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_SMALL_LAYERS, _SMALL_SIZES = (2, 4, 6, 8, 10, 12), (128, 256, 512, 768)


def is_address(path: str) -> bool:
    """Whether a path is an address on the network."""
    return path.startswith(("http://", "https://", "gs://"))


def folder_name(origin: str | Path) -> str:
    """Name of the cache folder for an address, or for an archive on disk.

    It is the SHA-1 of the address, as tensorflow_hub's cache has it; of a file, that of its path, size and time, so that a
    changed archive is unpacked anew.
    """
    if isinstance(origin, Path):
        status = origin.stat()
        origin = f"{origin.resolve()} {status.st_size} {status.st_mtime_ns}"
    return hashlib.sha1(origin.encode()).hexdigest()


def hub_handle(path: str) -> str | None:
    """Returns the full TF-Hub handle of an address or of the short form publisher/…/version; None for anything else."""
    if is_address(path):
        return path
    if not Path(path).exists() and re.fullmatch(r"[\w-]+(/[\w.-]+)+/\d+", path):
        return _HUB + path
    return None


def compressed_address(handle: str) -> str:
    """Returns the address of a handle's archive (TF-Hub's hosting protocol), or the handle where it is an archive."""
    if handle.endswith(_ARCHIVES) or handle.startswith("gs://"):
        return handle
    return f"{handle}{'&' if '?' in handle else '?'}tf-hub-format=compressed"


def hub_folder(handle: str, cache: Path) -> Path:
    """Folder of a handle's SavedModel: in TFHUB_CACHE_DIR where it is there already, else in our cache."""
    name = folder_name(handle)
    shared = os.environ.get("TFHUB_CACHE_DIR")
    if shared and Path(shared, name, "saved_model.pb").is_file():
        return Path(shared, name)
    return cache / name


def huggingface_address(path: str) -> str | None:
    """Returns the address of a repository given as owner/name or as an address; None for anything else."""
    if is_address(path):
        return None if path.endswith(_ARCHIVES) else path.rstrip("/")
    if Path(path).exists() or not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", path) or Path(path).parent.is_dir():
        return None
    return f"{os.environ.get('HF_ENDPOINT', 'https://huggingface.co').rstrip('/')}/{path}"


def fill_template(template: str | None, config: ModelConfig) -> str | None:
    """Puts the sizes asked for into a template of handles or addresses.

    Raises:
      ConfigError: a size is not given.
      WeightsError: no weights of that size were published.
    """
    if template is None or "{" not in template:
        return template
    layers, hidden = config.num_layers, config.hidden_size
    if layers is None or hidden is None:
        raise ConfigError(f"model.num_layers and model.hidden_size are needed to name the weights {template}")
    heads = config.num_heads or hidden // 64
    if layers not in _SMALL_LAYERS or hidden not in _SMALL_SIZES or heads * 64 != hidden:
        raise WeightsError(
            f"model.num_layers={layers} model.hidden_size={hidden} model.num_heads={heads}: small BERTs were published "
            f"with {', '.join(map(str, _SMALL_LAYERS))} layers of {', '.join(map(str, _SMALL_SIZES))} units and one "
            f"head per 64 units; take one of these, or model.source=random, which has any size"
        )
    return template.format(num_layers=layers, hidden_size=hidden, num_heads=heads)


def architecture_in_name(name: str) -> BertArchitecture | None:
    """Reads the sizes of a published BERT from a name such as …uncased_L-4_H-512_A-8…; None where it has none."""
    sizes = re.search(r"_L-(\d+)_H-(\d+)_A-(\d+)", name)
    vocab_size = next((size for word, size in _VOCAB_SIZES if word in name), None)
    if sizes is None or vocab_size is None:
        return None
    layers, hidden, heads = map(int, sizes.groups())
    return BertArchitecture(vocab_size, hidden, layers, heads, 4 * hidden)
