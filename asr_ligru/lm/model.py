"""A trained language model: what it thinks of texts, and the folder it is kept in.

The folder holds ``lm.safetensors``, the tokenizer's files, and ``lm.json`` with the configuration and the SHA-256 of
every other file. Loading runs no code that it brings.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr_ligru.config import as_dict, build
from asr_ligru.data.batching import BatchPlan
from asr_ligru.errors import DataError
from asr_ligru.lm.network import LmNetwork
from asr_ligru.lm.settings import LmConfig
from asr_ligru.models.tensors import pack, unpack
from asr_ligru.safety import printable
from asr_ligru.safety.sealed import open_sealed, seal_folder
from asr_ligru.text.tokenizer import Tokenizer
from asr_ligru.text.units import words_of

FORMAT = 1
SEAL = "lm.json"
FOLDER = "lm"  # of the model within the folder of its training
_TENSORS = "lm.safetensors"
_AT_ONCE = BatchPlan(batch_frames=20_000, max_batch_size=1000)  # tokens and sentences


@dataclass(frozen=True)
class Perplexity:
    """How well a model predicts a text.

    Attributes:
        sentences: lines; the end of each is predicted too.
        words: of the text.
        characters: of the text, with one space between words.
        unknown: characters that the tokens cannot spell, and how often each is there; they are predicted as <unk>.
        log_prob: natural log, of everything.
    """

    sentences: int
    words: int
    characters: int
    unknown: Counter[str]
    log_prob: float

    @property
    def per_word(self) -> float:
        """Perplexity over words and ends of sentences, which is what an n-gram model of words is measured by."""
        return math.exp(-self.log_prob / (self.words + self.sentences))

    @property
    def per_character(self) -> float:
        """Perplexity over characters, spaces among them, and ends of sentences."""
        return math.exp(-self.log_prob / (self.characters + self.sentences))


@dataclass(frozen=True)
class NeuralLm:
    """A network with its tokens.

    Attributes:
        config: what it was made from.
        network: in evaluation mode.
        tokenizer: characters or BPE; its id 0 is the sentence's boundary.
    """

    config: LmConfig
    network: LmNetwork
    tokenizer: Tokenizer

    def log_probs(self, texts: Sequence[str]) -> list[float]:
        """Return the natural-log probability of each text, its end included, all of them in one pass.

        Args:
            texts: words with single spaces between; may be empty.
        """
        ids = [torch.tensor(self.tokenizer.encode(text), dtype=torch.int64) for text in texts]
        return sentence_log_probs(self.network, ids)

    def perplexity(self, texts: Iterable[str]) -> Perplexity:
        """Let the model predict a text.

        Args:
            texts: its sentences, normalised, each with at least one word.

        Raises:
            DataError: there are none.
        """
        lines = [" ".join(words_of(text)) for text in texts]
        if not any(lines):
            raise DataError("no words in the text", fix="name a manifest or a text file with words in it")
        return Perplexity(
            sentences=len(lines),
            words=sum(len(words_of(line)) for line in lines),
            characters=sum(map(len, lines)),
            unknown=Counter(char for line in lines for char in self.tokenizer.unknown_in(line)),
            log_prob=math.fsum(self.log_probs(lines)),
        )


def padded(sentences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return token ids as one batch (B, U) with zeros behind each end, and lengths (B,)."""
    return pad_sequence(list(sentences), batch_first=True), torch.tensor([len(ids) for ids in sentences])


@torch.inference_mode()
def sentence_log_probs(network: LmNetwork, sentences: Sequence[Tensor]) -> list[float]:
    """Return the natural-log probability of each sentence of token ids, summed in double precision."""
    device = network.head.weight.device
    found = [0.0] * len(sentences)
    for batch in _AT_ONCE.batches([len(ids) + 1 for ids in sentences], epoch=0):
        tokens, lens = padded([sentences[i] for i in batch])
        log_probs = network(tokens.to(device), lens.to(device)).double().sum(1)
        for index, log_prob in zip(batch, log_probs.tolist(), strict=True):
            found[index] = log_prob
    return found


def write_lm(folder: Path, lm: NeuralLm, facts: dict[str, Any]) -> None:
    """Write a model entirely or not at all, replacing an older one of the same name.

    Args:
        folder: its place; the parent is made where it does not exist.
        lm: the model.
        facts: what is to be known about its training, JSON values.

    Raises:
        EnvironmentError_: the folder cannot be written.
    """
    files = {_TENSORS: pack(lm.network.state_dict()), **lm.tokenizer.files()}
    seal_folder(folder, files, seal=SEAL, format=FORMAT, head={"config": as_dict(lm.config), "facts": facts})


def lm_folder(path: Path) -> Path:
    """Return the folder of a model, which may be given by the folder of its training.

    Raises:
        DataError: it is none; what it is instead is said.
    """
    folder = path / FOLDER if (path / FOLDER / SEAL).is_file() else path
    if not (folder / SEAL).is_file():
        what, fix = _instead(path)
        raise DataError(f"not a neural language model: {what}", where=printable(str(path)), fix=fix)
    return folder


def read_lm(path: Path) -> tuple[NeuralLm, dict[str, Any]]:
    """Read what ``write_lm`` wrote after checking the SHA-256 of every file.

    Args:
        path: the folder of a model, or of its training.

    Returns:
        The model and the facts about its training.

    Raises:
        DataError: there is no such model, it is of a newer format, or it was altered.
    """
    folder = lm_folder(path)
    head = open_sealed(folder, seal=SEAL, format=FORMAT)
    config, tokenizer = build(LmConfig, head["config"]), Tokenizer.load(folder)
    network = LmNetwork(tokenizer.vocab_size, config)
    try:
        network.load_state_dict(unpack(folder / _TENSORS))
    except RuntimeError as error:
        what = f"its tensors do not fit its configuration: {str(error).splitlines()[-1].strip()}"
        raise DataError(what, where=printable(str(folder))) from error
    return NeuralLm(config, network.eval(), tokenizer), head["facts"]


def _instead(path: Path) -> tuple[str, str]:
    """Return what a path is that is no model, and what to do."""
    train = "train one: asr-ligru lm train TEXT --neural -o DIR"
    if not path.exists():
        return "it does not exist", train
    if path.is_file():
        return "a file, such as an n-gram model in ARPA format, which goes to --lm", train
    if (path / "model.json").is_file() or (path / "model" / "model.json").is_file():
        return "an acoustic model", train
    if (path / "checkpoints").is_dir():
        return "a training that has not finished", "type the command again that began it, it goes on"
    return f"no {SEAL} in it", train
