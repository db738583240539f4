"""From a model folder to something that decodes; loading runs no code that the folder brings."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from asr_ligru.config import Config, DecodeConfig, build
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features.framing import Framing
from asr_ligru.features.frontend import Frontend
from asr_ligru.hmm.frontend import make_frontend
from asr_ligru.hmm.hybrid import HybridHmm
from asr_ligru.models.build import Model, build_model, token_model
from asr_ligru.models.folder import ModelFolder, read_model_folder
from asr_ligru.models.hybrid import HybridModel
from asr_ligru.ops.fused_cpu.memory import keep_few_kernels
from asr_ligru.safety import Limits, printable, safe_extract
from asr_ligru.text.tokenizer import Tokenizer

_LONGEST_S = 10.0  # where a model does not say
_ZIP_LIMITS = Limits(members=64, bytes=8 << 30)

L = TypeVar("L", bound="LoadedModel")


@dataclass(frozen=True)
class LoadedModel:
    """A model with all that turns audio into its input and its output into text.

    Attributes:
        config: the configuration it was trained with.
        network: in evaluation mode.
        tokenizer: its output units.
        frontend: features from audio.
        temperature: what log probabilities are divided by for the confidences of words; fitted when it was trained.
        hmm: what the outputs of a hybrid model stand for; None where they are tokens.
        longest_s: of the utterances it was trained on, seconds; much longer ones are better cut.
    """

    config: Config
    network: Model
    tokenizer: Tokenizer
    frontend: Frontend
    temperature: float = 1.0
    hmm: HybridHmm | None = None
    longest_s: float = _LONGEST_S

    @property
    def frame_s(self) -> float:
        """Return the seconds from one frame of the network's output to the next."""
        features = self.config.features
        return Framing.of(features).shift * self.network.frames_per_output / features.sample_rate_hz

    def to(self, device: torch.device) -> None:
        """Move the network to a device."""
        self.network.to(device)

    @property
    def has_two_readings(self) -> bool:
        """Return whether it is a hybrid model with a CTC head: states for an HMM, and tokens."""
        return isinstance(self.network, HybridModel) and self.network.ctc_head is not None

    def can_write(self, word: str) -> bool:
        """Return whether the model has the tokens that the word is written with; a hybrid one, the word itself."""
        return not self.tokenizer.unknown_in(word) if self.hmm is None else word in self.hmm.vocabulary.lexicon

    def by_tokens(self: L) -> L:
        """Return the model as one that gives tokens: a hybrid model's CTC head, with the same parameters.

        Confidences of its words are not fitted, their temperature is 1. A CTC model is returned as it is.

        Raises:
            ConfigError: a hybrid model without a CTC head.
        """
        if self.hmm is None:
            return self
        if not (isinstance(self.network, HybridModel) and self.has_two_readings):
            what = "a hybrid model without a CTC head gives states, no tokens"
            raise ConfigError(what, where="model.ctc_weight=0", fix="train with model.ctc_weight=0.3")
        around = replace(self.config.model, name="ctc", ctc_weight=0.0)
        config = replace(self.config, model=around, decode=DecodeConfig())  # whose weights are the HMM's
        return replace(self, config=config, network=token_model(self.network, config), temperature=1.0, hmm=None)

    def feats(self, wav: Tensor, speaker: str = "") -> Tensor:
        """Return the network's input (T, F) for audio.

        Args:
            wav: (N,) float32 in [-1, 1] at ``config.features.sample_rate_hz``.
            speaker: an id of the training corpus, or "" for unknown.

        Raises:
            DataError: shorter than one frame.
        """
        return self.frontend(self.frontend.extract(wav), speaker)

    @torch.inference_mode()
    def log_probs(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return log probabilities (B, T', V) and their lengths (B,) for B feature matrices (T, F)."""
        device = next(self.network.parameters()).device
        lens = torch.tensor([len(f) for f in feats], device=device)
        batch = torch.nn.utils.rnn.pad_sequence(list(feats), batch_first=True)
        log_probs, out_lens = self.network(batch.to(device), lens)
        return log_probs, out_lens


def load_model(path: Path) -> LoadedModel:
    """Load a model folder, the ``model`` folder inside a run folder, or a ``.zip`` of one.

    oneDNN is told, by the environment, to keep fewer kernels: see ``keep_few_kernels``.

    Raises:
        DataError: there is no model, or it was altered, or it does not fit its own configuration.
        EnvironmentError_: no room to unpack a ``.zip``.
    """
    keep_few_kernels()
    with model_folder(path) as folder:
        try:
            return _load(folder)
        except DataError as error:
            if path.is_file():  # the folder will be gone
                error.where = printable(f"{path}, {Path(error.where).name}")
            raise


@contextmanager
def model_folder(path: Path) -> Iterator[Path]:
    """Give the folder of a model, unpacked for as long as the block lasts where it is in a ``.zip``.

    Args:
        path: as of ``load_model``.

    Raises:
        DataError: the archive is damaged or refused.
        EnvironmentError_: no room to unpack it.
    """
    with ExitStack() as stack:
        if path.is_file():
            place = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "model"
            safe_extract(path, place, _ZIP_LIMITS)
            path = place
        yield path / "model" if (path / "model").is_dir() else path


def _load(folder: Path) -> LoadedModel:
    parts = read_model_folder(folder)
    config = build(Config, parts.meta["config"])
    frontend = make_frontend(config.features, config.streams, config.adapt)
    frontend.load_state_dict(parts.frontend_tensors)
    network = build_model(config, int(parts.meta["num_features"]), parts.tokenizer.vocab_size, parts.hmm)
    try:
        network.load_state_dict(parts.tensors)
    except RuntimeError as error:
        raise DataError(
            f"the model's tensors do not fit its configuration: {str(error).splitlines()[-1].strip()}",
            where=printable(str(folder)),
        ) from error
    temperature = _number(parts, "temperature", 1.0, 0.01, 100.0)
    longest_s = _number(parts, "longest_s", _LONGEST_S, 0.01, 3600.0)
    return LoadedModel(config, network.eval(), parts.tokenizer, frontend, temperature, parts.hmm, longest_s)


def _number(parts: ModelFolder, key: str, default: float, low: float, high: float) -> float:
    """Return a number of the model's record; the default for a model of before there was one."""
    value = parts.meta.get(key, default)
    if not isinstance(value, (int, float)) or not low <= value <= high:
        raise DataError(f"{key}: expected a number from {low:g} to {high:g}, got {value!r}", where=str(parts.path))
    return float(value)
