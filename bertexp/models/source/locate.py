"""Finds a model's weights and vocabulary, on disk or as addresses, and what can be known of them without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bertexp.config.schema import ModelConfig, TrainableConfig
from bertexp.data.sets.reviews import VOCAB_FILE
from bertexp.errors import ConfigError, NetworkError, WeightsError
from bertexp.models.poolings.spec import POOLINGS, others_than_pooler
from bertexp.models.source import handles
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.source.folders import FILES, looks_lowercase, read_architecture, read_vocab, require_files
from bertexp.models.source.tokenizers import read_casing, strips_accents
from bertexp.system import archives, downloads

_WAYS = {
    "tfhub": "a TF-Hub handle, or a SavedModel's folder or .tar.gz archive",
    "google": "the folder, archive or address of a Google checkpoint",
    "huggingface": "a Hugging Face folder, or owner/name",
}


@dataclass(frozen=True)
class Download:
    """One file to fetch, or one archive to fetch and unpack."""

    url: str
    target: Path  # the file, or the folder that the archive is unpacked into
    unpack: bool = False
    optional: bool = False  # a repository may lack it
    unless: Path | None = None  # not needed where this file is

    @property
    def done(self) -> bool:
        """Whether nothing is left to fetch."""
        return self.target.exists() or (self.unless is not None and self.unless.exists())

    def fetch(self) -> None:
        """Brings the target where it is not there."""
        if self.done:
            return
        if self.unpack:
            archive = self.target.with_name(f"{self.target.name}.archive")
            downloads.fetch(self.url, archive)
            archives.extract(archive, self.target)
            archive.unlink()
            return
        try:
            downloads.fetch(self.url, self.target)
        except NetworkError as error:
            if not (self.optional and "HTTP 404" in str(error)):
                raise


@dataclass(frozen=True)
class ModelSource:
    """Where an encoder comes from."""

    kind: str  # tfhub | google | huggingface | random
    description: str
    folder: str = ""  # of the weights; complete after fetch(); empty for random ones
    downloads: tuple[Download, ...] = ()
    archive: str | None = None  # on disk, to unpack into `folder`
    preprocessor: str | None = None  # tfhub: folder of the preprocessing SavedModel, where one is needed
    architecture: BertArchitecture | None = None  # None: it is not known yet
    vocab_file: str = ""  # empty: its place is not known yet, or the SavedModel's own
    lowercase: bool = False  # whether texts are put into lower case, if `vocab_file` is known
    strip_accents: bool = False  # whether accents are then taken off

    @property
    def positions(self) -> int | None:
        """How many word pieces of a text the encoder can number; None if that is not known yet."""
        return None if self.architecture is None else self.architecture.max_positions

    @property
    def complete(self) -> bool:
        """Whether the weights lie in `folder` now."""
        return bool(self.folder) and Path(self.folder).is_dir() and not self.urls

    @property
    def urls(self) -> tuple[str, ...]:
        """Addresses that are needed and not cached."""
        unsure = self.archive is not None and not Path(self.folder).exists()  # what the archive brings is not known yet
        needed = (item for item in self.downloads if not item.done and not item.optional)
        return tuple(item.url for item in needed if not (unsure and item.unless))

    def fetch(self) -> None:
        """Downloads and unpacks what is not in the cache.

        Raises:
          NetworkError: an address cannot be fetched.
          DataError: an archive is broken.
        """
        if self.complete:  # perhaps without what a repository may lack: that was asked for first
            return
        if self.archive is not None:
            archives.extract(self.archive, self.folder)
        for item in self.downloads:
            item.fetch()


def locate_model(config: ModelConfig, cache_dir: str) -> ModelSource:
    """Finds the weights that a configuration names; reads small files at most, and no network.

    Raises:
      WeightsError: a path does not exist, lacks files, or holds another architecture than asked for.
      ConfigError: settings that the source needs are missing.
    """
    if config.vocab_file is not None and not Path(config.vocab_file).expanduser().is_file():
        raise WeightsError(f"model.vocab_file={config.vocab_file} does not exist")
    locate = {"tfhub": _locate_tfhub, "google": _locate_google, "huggingface": _locate_huggingface}
    return read_source(locate.get(config.source, _locate_random)(config, Path(cache_dir) / "models"), config)


def read_source(source: ModelSource, config: ModelConfig) -> ModelSource:
    """Adds what the small files of fetched weights say, or what the name does as long as they are not there.

    Raises:
      WeightsError: files are missing, or hold another architecture than asked for.
    """
    architecture = source.architecture or handles.architecture_in_name(source.description)
    if source.complete:
        folder = str(require_files(Path(source.folder), FILES[source.kind]))
        source = replace(source, folder=folder)
        if source.kind != "tfhub":
            architecture = read_architecture(folder, source.kind)
            lowercase, strip_accents = read_casing(folder, config)
            vocab_file = config.vocab_file or f"{folder}/vocab.txt"
            source = replace(source, vocab_file=vocab_file, lowercase=lowercase, strip_accents=strip_accents)
    if architecture is not None:
        architecture = fit_architecture(config, architecture, source.description)
    return replace(source, architecture=architecture)


def read_vocabulary(source: ModelSource) -> tuple[tuple[str, ...], bool, bool] | None:
    """Word pieces, `lowercase` and `strip_accents` of a source that `read_source` has read.

    Returns:
      None if a SavedModel must be loaded to know them.

    Raises:
      WeightsError: the file is no BERT vocabulary.
    """
    known = source.kind != "tfhub"
    return (read_vocab(source.vocab_file), source.lowercase, source.strip_accents) if known else None


def fit_architecture(config: ModelConfig, architecture: BertArchitecture, where: str) -> BertArchitecture:
    """Compares sizes and pooling with those asked for; returns the architecture with the dropout asked for.

    Raises:
      WeightsError: names what was asked for, what is there and the cure.
    """
    for key in ("num_layers", "hidden_size", "num_heads", "type_vocab_size"):
        asked, there = getattr(config, key), getattr(architecture, key)
        if asked is not None and asked != there:
            raise WeightsError(
                f"model.{key}={asked}, but {where} has {there}: set model.{key}={there} or null, or take "
                f"model.source=random, which has any size"
            )
    if config.pooling and POOLINGS[config.pooling].reads == "pooler" and not architecture.has_pooler:
        raise WeightsError(
            f"{where} has no pooler, which model.pooling={config.pooling} reads: choose model.pooling={others_than_pooler()}"
        )
    if config.encoder_dropout is None:
        return architecture
    return replace(architecture, hidden_dropout=config.encoder_dropout, attention_dropout=config.encoder_dropout)


def count_top_layers(num_layers: int, config: TrainableConfig) -> int:
    """Number of layers that train with trainable=top_layers; half of them where it is not given.

    Raises:
      ConfigError: the encoder has fewer.
    """
    count = config.top_layers or max(1, num_layers // 2)
    if count > num_layers:
        raise ConfigError(f"trainable.top_layers={count}, but the encoder has {num_layers} layers")
    return count


def count_trained(architecture: BertArchitecture, config: TrainableConfig, units: int, pooling: str) -> tuple[int, int]:
    """Numbers of trained and frozen weights, as `trainable.set_trainable` will set them.

    Raises:
      ConfigError: as it does.
    """
    head = (architecture.hidden_size + 1) * units + POOLINGS[pooling].count_weights(architecture.hidden_size)
    trained = head
    pooler = architecture.pooler_parameters() if POOLINGS[pooling].reads == "pooler" else 0
    if config.encoder == "full":
        trained += architecture.encoder_parameters() - architecture.pooler_parameters() + pooler
    elif config.encoder == "top_layers":
        trained += count_top_layers(architecture.num_layers, config) * architecture.layer_parameters() + pooler
    return trained, architecture.encoder_parameters() + head - trained


def _locate_random(config: ModelConfig, cache: Path) -> ModelSource:
    if config.path is not None:
        raise ConfigError(
            f"model.path={config.path} is not read with model.source=random: leave it out, or add "
            f"model.source=tfhub, google or huggingface"
        )
    if config.num_layers is None or config.hidden_size is None:
        raise ConfigError("model.source=random needs model.num_layers and model.hidden_size")
    hidden = config.hidden_size
    if config.num_heads is None and hidden % 64:
        raise ConfigError(f"model.hidden_size={hidden} is no multiple of 64, so give model.num_heads too")
    vocab_file = config.vocab_file or str(VOCAB_FILE)
    vocab = read_vocab(vocab_file)
    architecture = BertArchitecture(
        vocab_size=len(vocab),
        hidden_size=hidden,
        num_layers=config.num_layers,
        num_heads=config.num_heads or hidden // 64,
        intermediate_size=4 * hidden,
        type_vocab_size=2 if config.type_vocab_size is None else config.type_vocab_size,
    )
    sizes = f"{architecture.num_layers} layers, hidden size {hidden}, {architecture.num_heads} heads"
    vocabulary = f"{config.vocab_file or 'embedded vocabulary'}, {len(vocab):,} pieces"
    lowercase = looks_lowercase(vocab) if config.lowercase is None else config.lowercase
    return ModelSource(
        kind="random",
        description=f"random weights ({sizes}; {vocabulary})",
        architecture=architecture,
        vocab_file=vocab_file,
        lowercase=lowercase,
        strip_accents=strips_accents(config, lowercase),
    )


def _locate_huggingface(config: ModelConfig, cache: Path) -> ModelSource:
    path = _given_path(config, config.huggingface_repo)
    base = handles.huggingface_address(path)
    if base is None:
        return _locate_path("huggingface", path, cache)
    folder = cache / "huggingface" / handles.folder_name(base)
    optional = ("tokenizer_config.json", "tokenizer.json")
    wanted = tuple(
        Download(f"{base}/resolve/main/{name}", folder / name, optional=name in optional)
        for name in (*optional, *FILES["huggingface"])
    )
    return ModelSource("huggingface", base, str(folder), wanted)


def _locate_google(config: ModelConfig, cache: Path) -> ModelSource:
    return _locate_path("google", _given_path(config, config.google_checkpoint), cache)


def _locate_tfhub(config: ModelConfig, cache: Path) -> ModelSource:
    path = _given_path(config, config.tfhub_handle)
    source = read_source(_locate_path("tfhub", path, cache), config)
    if config.vocab_file is not None or config.tfhub_preprocess is None:
        return source
    preprocessor = _locate_path("tfhub", config.tfhub_preprocess, cache, "model.tfhub_preprocess")
    if preprocessor.archive is not None:
        archives.extract(preprocessor.archive, preprocessor.folder)  # half a megabyte
    own_vocab = None if handles.hub_handle(path) else Path(source.folder, "assets", "vocab.txt")
    more = tuple(replace(item, unless=own_vocab) for item in preprocessor.downloads)
    return replace(source, preprocessor=preprocessor.folder, downloads=source.downloads + more)


def _locate_path(kind: str, given: str, cache: Path, setting: str = "model.path") -> ModelSource:
    """Finds an address, an archive, a folder or a file in one.

    Raises:
      WeightsError: nothing lies there.
    """
    handle = handles.hub_handle(given) if kind == "tfhub" else given if handles.is_address(given) else None
    if handle is not None:
        folder = handles.hub_folder(handle, cache / kind)
        url = handles.compressed_address(handle) if kind == "tfhub" else handle
        return ModelSource(kind, handle, str(folder), (Download(url, folder, unpack=True),))
    path = Path(given).expanduser()
    if not path.exists():
        raise WeightsError(f"{setting}={given} does not exist; give {_WAYS[kind]}")
    if path.is_file() and path.suffix in (".safetensors", ".bin", ".index", ".json", ".pb"):
        path = path.parent
    if path.is_dir():
        return ModelSource(kind, str(path), str(path))
    folder = cache / kind / handles.folder_name(path)
    return ModelSource(kind, str(path), str(folder), archive=str(path))


def _given_path(config: ModelConfig, template: str | None) -> str:
    path = config.path or handles.fill_template(template, config)
    if path is None:
        raise ConfigError(f"model.source={config.source} needs model.path: {_WAYS[config.source]}")
    return path
