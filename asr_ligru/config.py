"""The configuration as frozen dataclasses: every key, its unit, default and range.

YAML files under ``conf/`` only pick values; this module says which keys exist. ``build`` turns a plain
nested dict (what Hydra composed) into these dataclasses and reports every wrong key or value at once.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar

from asr_ligru.errors import ConfigError
from asr_ligru.registry import nearest

C = TypeVar("C")


def ranged(default: Any, low: float, high: float = math.inf) -> Any:
    """A number (or None) that must lie in [low, high]."""
    return field(default=default, metadata={"range": (low, high)})


def span(default: tuple[float, ...], low: float, high: float = math.inf) -> Any:
    """The least and the most of what is drawn, both in [low, high]; with an empty default, nothing is drawn."""
    return field(default=default, metadata={"range": (low, high), "span": (len(default), 2)})


def choice(default: str, *allowed: str) -> Any:
    """A string that must be one of ``allowed``."""
    return field(default=default, metadata={"choices": (default, *allowed)})


def choices(*allowed: str) -> Any:
    """Any of ``allowed``; all of them by default."""
    return field(default=allowed, metadata={"choices": allowed})


@dataclass(frozen=True)
class CellConfig:
    """The recurrent encoder (``cell``)."""

    name: str = "ligru"  # a name in nn.CELLS
    hidden_size: int = ranged(256, 1, 16384)
    num_layers: int = ranged(4, 1, 64)
    bidirectional: bool = True
    share_directions: bool = True  # one W, U and norm for both directions, as in the papers
    norm: str = choice("batch", "layer", "none")  # of the feed-forward projection
    norm_gamma: float = ranged(1.0, 0.0, 10.0)  # initial scale of the norm
    dropout: float = ranged(0.2, 0.0, 0.95)  # one recurrent mask per sequence, on the candidate
    initial_state: str = choice("default", "zeros", "uniform")  # LiBRU, sBRU: uniform is p = 0.5
    output: str = choice("state", "probability")  # what the layer above sees of a Bayesian unit: its state or p
    recurrent_eps: float = ranged(1e-5, 1e-12, 1.0)  # of SLi-GRU's layer norm
    backend: str = choice("auto", "reference", "stepped", "cpu", "triton")
    lr_scale: float = ranged(1.0, 1e-4, 1e4)  # this cell's factor on train.lr


@dataclass(frozen=True)
class ModelConfig:
    """What surrounds the encoder (``model``)."""

    name: str = choice("ctc", "hybrid")
    stack_frames: int = ranged(1, 1, 8)  # frames concatenated into one; ctc: T' = ceil(T / stack_frames)
    input_dropout: float = ranged(0.0, 0.0, 0.95)
    head_dropout: float = ranged(0.0, 0.0, 0.95)
    phone_weight: float = ranged(1.0, 0.0, 100.0)  # hybrid: of the phones' loss, beside that of the tied states
    label_smoothing: float = ranged(0.0, 0.0, 0.9)  # hybrid: share of a frame's target that is spread over all
    ctc_weight: float = ranged(0.0, 0.0, 1.0)  # hybrid: of the CTC loss of a head over tokens; 0: there is no such head
    inter_ctc_layers: tuple[int, ...] = ()  # inner layers, the lowest is 1, that the CTC head reads too, in training
    inter_ctc_weight: float = ranged(0.3, 0.0, 0.95)  # share of theirs in the CTC loss; the rest is the last layer's


@dataclass(frozen=True)
class FeaturesConfig:
    """The acoustic features (``features``)."""

    name: str = choice("fbank", "mfcc", "fmllr")
    sample_rate_hz: int = ranged(16000, 1000, 192000)
    num_bins: int = ranged(40, 3, 512)  # mel filters
    num_ceps: int = ranged(13, 1, 512)  # mfcc, and the cepstra that fmllr starts from
    deltas: int = ranged(0, 0, 3)  # orders of differences appended
    splice: int = ranged(0, 0, 32)  # frames of context on each side
    cmvn: str = choice("utterance", "none", "speaker", "global")
    cmvn_variance: bool = True
    frame_length_ms: float = ranged(25.0, 1.0, 1000.0)
    frame_shift_ms: float = ranged(10.0, 1.0, 1000.0)
    low_freq_hz: float = ranged(20.0, 0.0)
    high_freq_hz: float = 0.0  # <= 0: offset from half the sample rate
    vtln_warp: float = ranged(1.0, 0.5, 2.0)
    cache: bool = True  # keep features on disk, keyed by this configuration and the audio

    @property
    def label(self) -> str:
        """How a table names them, such as "fbank40", "mfcc13" or "fmllr"."""
        if self.name == "fmllr":
            return self.name
        return f"{self.name}{self.num_bins if self.name == 'fbank' else self.num_ceps}"


@dataclass(frozen=True)
class StreamsConfig:
    """Features that stand beside those of ``features`` in each frame (``streams``), normalised alike."""

    fbank: int = ranged(0, 0, 512)  # mel filters
    mfcc: int = ranged(0, 0, 512)  # cepstra


@dataclass(frozen=True)
class HmmConfig:
    """The GMM-HMM that fMLLR features and the targets of a hybrid model come from (``hmm``)."""

    phone_states: int = ranged(3, 2, 10)  # of a phone, left to right
    silence_states: int = ranged(3, 2, 10)
    edge_silence: float = ranged(0.5, 0.01, 1.0)  # probability of silence at either end of an utterance
    inner_silence: float = ranged(0.5, 0.0, 0.99)  # probability of silence between two words
    max_hours: float = ranged(0.0, 0.0, 1_000_000.0)  # of utterances to train on, drawn evenly; 0: all
    mono_gauss: int = ranged(1000, 1, 1_000_000)  # Gaussians of the whole model in the end
    tri_leaves: int = ranged(1800, 1, 100_000)  # tied states at most
    tri_gauss: int = ranged(2000, 1, 1_000_000)
    lda_context: int = ranged(3, 0, 16)  # spliced frames on each side
    lda_dim: int = ranged(40, 1, 512)  # fewer where there are too few tied states
    lda_leaves: int = ranged(1800, 1, 100_000)
    lda_gauss: int = ranged(2000, 1, 1_000_000)
    sat_leaves: int = ranged(1800, 1, 100_000)
    sat_gauss: int = ranged(2000, 1, 1_000_000)
    acoustic_scale: float = ranged(0.05, 1e-4, 10.0)  # in decoding, on acoustic log-likelihoods
    word_score: float = ranged(-2.0, -100.0, 100.0)  # in decoding, added for each word
    identity_below: float = ranged(50.0, 0.0)  # frames of speech with which nothing is adapted
    full_above: float = ranged(500.0, 0.0)  # frames of speech above which a transform is full


@dataclass(frozen=True)
class AdaptConfig:
    """What ``features=fmllr`` adapts speakers to (``adapt``)."""

    name: str = choice("hmm", "ubm")  # the GMM-HMM by transcripts, or one mixture for all frames, without any
    num_gauss: int = ranged(256, 1, 1_000_000)  # of the mixture, as all that follows
    iterations: int = ranged(20, 1, 10000)  # updates before the first transforms
    rounds: int = ranged(3, 0, 1000)  # estimates of the training speakers' transforms
    updates: int = ranged(4, 1, 1000)  # after each of them
    passes: int = ranged(3, 1, 100)  # over a new speaker


@dataclass(frozen=True)
class TokensConfig:
    """The output units (``tokens``)."""

    name: str = choice("char", "phone", "bpe", "word")
    vocab_size: int = ranged(100, 4, 65536)  # bpe only
    unknown: str = choice("error", "drop", "unk")  # a character or word outside the inventory


@dataclass(frozen=True)
class CorpusConfig:
    """Where the data is (``corpus``)."""

    name: str = "demo"
    dir: str = "data/demo"  # holds <split>.jsonl, and lexicon.txt when there is one
    train: str = "train"
    dev: str = "dev"
    test: str = "test"
    normalize: str = "none"  # a text profile
    score_as: str = ""  # the text profile that errors are counted under; empty: normalize
    resample: bool = False  # allow audio of another sample rate
    channel: str = choice("error", "mix", "0", "1")
    max_seconds: float = ranged(40.0, 0.01)  # longer utterances are kept out of training, counted
    max_bad_rate: float = ranged(0.001, 0.0, 1.0)  # of unreadable utterances, above it training ends
    shards: str = ""  # folder or address that `asr-ligru shards` wrote; the training set comes from there
    shard_buffer: int = ranged(4, 1, 10000)  # shards whose utterances are mixed, and held on disk at a time

    @property
    def scoring(self) -> str:
        """The text profile that errors are counted under."""
        return self.score_as or self.normalize


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes to training data (``train.augment``), a function of (seed, epoch, utt_id)."""

    speed: tuple[float, ...] = ()  # factors drawn uniformly, each in [0.5, 2]
    tempo: tuple[float, ...] = ranged((), 0.5, 2.0)  # factors drawn uniformly; the pitch stays
    volume_db: tuple[float, ...] = span((), -60.0, 60.0)  # least and most gain
    noise_prob: float = ranged(0.0, 0.0, 1.0)  # share of the utterances that noise is added to
    noise_dir: str = ""  # folder of recordings of any sample rate and length
    noise_glob: str = "*"  # which of its files, by their names
    noise_snr_db: tuple[float, ...] = span((0.0, 20.0), -50.0, 100.0)
    room_prob: float = ranged(0.0, 0.0, 1.0)  # share of the utterances that are put into a room
    room_dir: str = ""  # folder of impulse responses; empty: simulated rooms
    room_rt60_s: tuple[float, ...] = span((0.1, 0.5), 0.05, 2.0)  # simulated: time of decay by 60 dB
    codec_prob: float = ranged(0.0, 0.0, 1.0)  # share of the utterances that are compressed
    codecs: tuple[str, ...] = choices("mp3", "vorbis", "opus", "mulaw", "gsm")
    codec_level: tuple[float, ...] = span((0.0, 0.9), 0.0, 0.99)  # how hard mp3, vorbis and opus compress
    telephone_prob: float = ranged(0.0, 0.0, 1.0)  # share of the utterances that come through a telephone
    time_masks: int = ranged(0, 0, 100)
    time_mask_frames: int = ranged(20, 0, 10000)  # longest mask
    time_mask_fraction: float = ranged(0.2, 0.0, 1.0)  # longest mask as a share of the utterance
    freq_masks: int = ranged(0, 0, 100)
    freq_mask_bins: int = ranged(8, 0, 512)  # widest mask
    freq_mask_fraction: float = ranged(0.2, 0.0, 1.0)  # widest mask as a share of the bins (or cepstra)


@dataclass(frozen=True)
class TrainConfig:
    """How the model is trained (``train``)."""

    epochs: int = ranged(60, 1, 100000)
    max_steps: int | None = ranged(None, 1)  # stop after so many updates, for smoke runs
    max_utterances: int | None = ranged(None, 1)  # of each set, for smoke runs
    batch_frames: int = ranged(8000, 1)  # padded frames in a batch, before stacking
    max_batch_size: int = ranged(64, 1)  # utterances
    batch_multiple: int = ranged(2, 1, 1024)  # of utterances in a batch, where they fit: processes get equal parts
    accumulate: int = ranged(1, 1, 1024)
    optimizer: str = choice("adamw", "adam", "rmsprop", "sgd")
    lr: float = ranged(1e-3, 0.0, 10.0)
    weight_decay: float = ranged(0.0, 0.0, 10.0)
    momentum: float = ranged(0.9, 0.0, 0.9999)  # sgd
    alpha: float = ranged(0.95, 0.0, 0.9999)  # rmsprop
    betas: tuple[float, ...] = (0.9, 0.98)
    schedule: str = choice("warmup_cosine", "newbob", "plateau", "constant")
    warmup_fraction: float = ranged(0.1, 0.0, 1.0)  # of all steps
    newbob_factor: float = ranged(0.5, 0.0, 1.0)
    newbob_threshold: float = ranged(0.001, 0.0, 1.0)  # relative improvement below which lr shrinks
    patience: int = ranged(2, 0)  # plateau: evaluations without improvement before lr shrinks
    early_stopping: int | None = ranged(None, 1)  # evaluations without a better dev WER
    average_best: int = ranged(1, 1, 100)  # checkpoints averaged into the final model
    max_grad_norm: float | None = ranged(5.0, 1e-6)
    precision: str = choice("fp32", "bf16")
    align_with: str | None = None  # hybrid: run folder of a hybrid model; its alignments are the targets
    curriculum_start_frames: int | None = ranged(None, 1)  # longest utterance of the first epoch, doubled each
    eval_every: int = ranged(1, 1)  # epochs
    save_every_s: float = ranged(120.0, 0.0)  # seconds between checkpoints inside an epoch
    num_workers: int = ranged(0, 0, 256)
    worker_timeout_s: float = ranged(300.0, 0.0)  # a worker that gives no batch for so long ends the run; 0: never
    ddp_timeout_s: float = ranged(300.0, 1.0)  # several processes: how long one waits for another
    threads: int = ranged(0, 0, 1024)  # 0: as torch chooses
    device: str = "auto"
    deterministic: bool = False
    max_nonfinite: int = ranged(0, 0)
    tensorboard: bool = False
    progress: bool = True
    augment: AugmentConfig = AugmentConfig()


@dataclass(frozen=True)
class DecodeConfig:
    """How the test set is decoded (``decode``)."""

    name: str = choice("greedy", "wfst")
    batch_frames: int = ranged(24000, 1)
    acoustic_scale: float = ranged(0.1, 1e-4, 10.0)  # hybrid, wfst: factor on acoustic log-likelihoods
    word_score: float = ranged(0.0, -100.0, 100.0)  # hybrid, wfst: added for each word
    beam: float = ranged(12.0, 0.1, 1e4)  # wfst: paths worse than the best by more are dropped, natural log
    lattice_beam: float = ranged(6.0, 0.1, 1e4)  # wfst: the same for other readings and for confidences
    lm: str = ""  # wfst: an ARPA file; empty: that of a hybrid model
    lexicon: str = ""  # wfst: words and phones; empty: the model's, or the language model's words as they are spelled
    split: str = choice("test", "dev", "train", "none")  # what is decoded and scored when training ends


@dataclass(frozen=True)
class Config:
    """Everything one run is made from."""

    cell: CellConfig = CellConfig()
    model: ModelConfig = ModelConfig()
    features: FeaturesConfig = FeaturesConfig()
    streams: StreamsConfig = StreamsConfig()
    adapt: AdaptConfig = AdaptConfig()  # features=fmllr only
    hmm: HmmConfig = HmmConfig()  # features=fmllr, model=hybrid
    tokens: TokensConfig = TokensConfig()
    corpus: CorpusConfig = CorpusConfig()
    train: TrainConfig = TrainConfig()
    decode: DecodeConfig = DecodeConfig()
    seed: int = ranged(1, 0, 2**31 - 1)
    run_name: str = "demo_ctc"  # the recipe's name; runs of one recipe share a folder
    exp_root: str = "exp"  # holds the runs of all recipes
    exp_dir: str = ""  # the run's folder; empty: <exp_root>/<run_name>/<what distinguishes the run>

    @property
    def features_label(self) -> str:
        """How a table names all features, such as "fmllr+fbank40" or "fmllr-ubm"."""
        adapted = f"-{self.adapt.name}" if self.features.name == "fmllr" and self.adapt.name != "hmm" else ""
        others = {name: getattr(self.streams, name) for name in ("fbank", "mfcc")}
        return "+".join([self.features.label + adapted, *(f"{name}{size}" for name, size in others.items() if size)])


def build(cls: type[C], tree: Mapping[str, Any]) -> C:
    """Build ``cls`` from a nested dict.

    Args:
        cls: one of the dataclasses of this module.
        tree: keys equal field names; missing keys take the default.

    Raises:
        ConfigError: unknown keys, wrong types or values out of range; all of them in one message.
    """
    findings: list[str] = []
    value = _build(cls, tree, "", findings)
    if findings:
        raise ConfigError(
            f"{len(findings)} wrong setting{'s' if len(findings) > 1 else ''}: " + "; ".join(findings),
            fix="correct it on the command line or in the YAML file",
        )
    return value


def as_dict(config: Any) -> dict[str, Any]:
    """Return the nested dict that ``build`` makes an equal configuration from (JSON-ready)."""
    return {
        f.name: as_dict(v) if dataclasses.is_dataclass(v) else list(v) if isinstance(v, tuple) else v
        for f in fields(config)
        for v in [getattr(config, f.name)]
    }


def _build(cls: type[C], tree: Mapping[str, Any], path: str, findings: list[str]) -> C:
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, raw in tree.items():
        where = f"{path}{key}"
        if key not in known:
            findings.append(f"unknown key {where!r} ({nearest(str(key), known)})")
        elif dataclasses.is_dataclass(hints[key]):
            if isinstance(raw, Mapping):
                values[key] = _build(typing.cast(type, hints[key]), raw, f"{where}.", findings)
            else:
                findings.append(f"{where}: expected a group of keys, got {raw!r}")
        else:
            problem, value = _check(hints[key], known[key].metadata, raw)
            if problem:
                findings.append(f"{where}: {problem}")
            else:
                values[key] = value
    missing = [f.name for f in known.values() if f.default is MISSING and f.name not in values]
    findings.extend(f"missing key {path}{name!r}" for name in missing)
    return cls(**values) if not missing else typing.cast(C, None)


def _check(hint: Any, metadata: Mapping[str, Any], raw: Any) -> tuple[str, Any]:
    """Return (what is wrong or "", the value converted to ``hint``)."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if raw is None:
        return ("" if type(None) in options else "must not be null"), None
    kind = next(o for o in options if o is not type(None))
    if typing.get_origin(kind) is tuple:
        return _check_list(typing.get_args(kind)[0], metadata, raw)
    if kind is float and _is_number(raw):
        raw = float(raw)
    if kind is str and isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if not isinstance(raw, kind) or (kind is int and isinstance(raw, bool)):
        return f"expected {kind.__name__}, got {raw!r}", None
    if "choices" in metadata and raw not in metadata["choices"]:
        return f"unknown value {raw!r} ({nearest(raw, metadata['choices'])})", None
    if "range" in metadata:
        low, high = metadata["range"]
        if not low <= raw <= high:
            return f"expected a value from {low} to {high}, got {raw}", None
    return "", raw


def _check_list(kind: type, metadata: Mapping[str, Any], raw: Any) -> tuple[str, Any]:
    if not isinstance(raw, (list, tuple)) or not all(_is_number(x) if kind is float else type(x) is kind for x in raw):
        what = {float: "numbers", int: "whole numbers", str: "names"}[kind]
        return f"expected a list of {what}, got {raw!r}", None
    sizes = metadata.get("span")
    if sizes and (len(raw) not in sizes or list(raw) != sorted(raw)):
        return f"expected the least and the most, got {list(raw)}", None
    checked = [_check(kind, metadata, x) for x in raw]
    return next((problem for problem, _ in checked if problem), ""), tuple(value for _, value in checked)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
