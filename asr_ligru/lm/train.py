"""Training of a language model: cross-entropy of the next token, stopped when the development set gains no more.

The same command again goes on where it stopped, with the same bits.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr_ligru.config import as_dict
from asr_ligru.data.batching import BatchPlan
from asr_ligru.errors import ConfigError, DataError, DivergedError
from asr_ligru.lm.model import FOLDER, NeuralLm, padded, write_lm
from asr_ligru.lm.network import LmNetwork
from asr_ligru.lm.settings import LmConfig
from asr_ligru.ops.fused_cpu.memory import keep_freed_memory
from asr_ligru.safety import atomic_write
from asr_ligru.text.tokenizer import Tokenizer, build_tokenizer
from asr_ligru.train import checkpoint
from asr_ligru.train.interrupt import Interrupted, StopRequest
from asr_ligru.train.lock import run_lock
from asr_ligru.train.optim import Schedule, build_optimizer
from asr_ligru.train.progress import ProgressBar
from asr_ligru.train.snapshot import flatten_optimizer, restore_optimizer, rng_state, set_rng_state
from asr_ligru.train.state import RunState

_SAVE_EVERY_S = 120.0  # inside an epoch
_MAY_CHANGE = ("epochs", "early_stopping")  # when a training is continued


@dataclass(frozen=True)
class Texts:
    """What a model is trained on, sentences of words with single spaces between.

    Attributes:
        train: what it learns.
        dev: what says when it has learned enough.
    """

    train: Sequence[str]
    dev: Sequence[str]

    @classmethod
    def held_out(cls, texts: Sequence[str], share: float, seed: int) -> Texts:
        """Take a share of the texts away for development, drawn by ``seed``; at least one sentence is on each side.

        Raises:
            DataError: fewer than two sentences.
        """
        if len(texts) < 2:
            fix = "give more text, or a development set with --dev"
            raise DataError(f"{len(texts)} sentences cannot be divided into training and development", fix=fix)
        count = min(max(1, round(share * len(texts))), len(texts) - 1)
        dev = set(np.random.default_rng(seed).permutation(len(texts))[:count].tolist())
        return cls([t for i, t in enumerate(texts) if i not in dev], [t for i, t in enumerate(texts) if i in dev])

    def digest(self) -> str:
        """Return what changes when any of them does."""
        return hashlib.sha256(json.dumps([list(self.train), list(self.dev)]).encode()).hexdigest()


def train_lm(
    config: LmConfig,
    texts: Texts,
    folder: Path,
    *,
    tokenizer: Tokenizer | None = None,
    device: torch.device | None = None,
    progress: bool = True,
) -> tuple[NeuralLm, dict[str, Any]]:
    """Train a model, or go on with it.

    Args:
        config: of the model.
        texts: what it reads.
        folder: gets ``lm``, the model, ``metrics.jsonl`` and ``checkpoints``.
        tokenizer: its tokens; made from ``texts.train`` by default.
        device: where; the CPU by default.
        progress: whether to show a bar.

    Returns:
        The model of the epoch with the lowest development loss, and the facts that its folder has about the training.

    Raises:
        ConfigError: the folder is in use, or holds a training with other settings or texts.
        DataError: no words in the texts.
        DivergedError: a loss or gradient was not finite.
        Interrupted: a signal came; a checkpoint was written.
    """
    if not texts.train or not texts.dev:
        missing = "to train on" if not texts.train else "in the development texts"
        raise DataError(f"no words {missing}", fix="name manifests or text files with words in them")
    tokenizer = tokenizer or build_tokenizer(config.tokens, texts.train)
    with run_lock(folder), StopRequest() as stop, ProgressBar(config.cell.name, config.epochs, progress) as bar:
        checkpoint.sweep(folder / "checkpoints")
        checkpoint.sweep(folder)
        keep_freed_memory()
        torch.manual_seed(config.seed)
        training = _Training(config, texts, tokenizer, folder, device or torch.device("cpu"), stop, bar)
        training.resume()
        with stop.later():
            training.run()
        return training.finish()


class _Training:
    """The loop over epochs, and all that it changes."""

    def __init__(
        self,
        config: LmConfig,
        texts: Texts,
        tokenizer: Tokenizer,
        folder: Path,
        device: torch.device,
        stop: StopRequest,
        bar: ProgressBar,
    ) -> None:
        self.config, self.folder, self.device, self.stop, self.bar = config, folder, device, stop, bar
        self.state = RunState()
        self.lm = NeuralLm(config, LmNetwork(tokenizer.vocab_size, config).to(device), tokenizer)
        self.network = self.lm.network
        base_lr = config.lr * config.cell.lr_scale
        self.optimizer = build_optimizer(self.network.parameters(), config.training, base_lr)
        self.schedule = Schedule(config.training)
        self.train = [torch.tensor(tokenizer.encode(text)) for text in texts.train]
        self.dev = list(texts.dev)
        self.plan = BatchPlan(config.batch_tokens, config.batch_size, config.seed)
        settings = {key: value for key, value in as_dict(config).items() if key not in _MAY_CHANGE}
        pieces = {name: hashlib.sha256(raw).hexdigest() for name, raw in tokenizer.files().items()}
        self.identity = {**settings, "texts": texts.digest(), "tokens": pieces}

    def run(self) -> None:
        """Train until the last epoch or no more improvement."""
        state = self.state
        while state.epoch <= self.config.epochs and self._since_best() < self.config.early_stopping:
            batches = self.plan.batches([len(ids) + 1 for ids in self.train], state.epoch)
            self._train_epoch(batches)
            self._end_epoch()

    def finish(self) -> tuple[NeuralLm, dict[str, Any]]:
        """Take the best epoch's parameters, write the model and return it with its facts."""
        best = self._ranked()[0]
        found = checkpoint.load(checkpoint.folder_of(self.folder / "checkpoints", best["step"]))
        self.network.load_state_dict(found.tensors["model"])
        self.network.eval()
        sizes = {"sentences": len(self.train), "parameters": self.network.num_parameters()}
        facts = {**best, **sizes, "epochs": len(self.state.metrics), "train_s": round(self.state.train_s, 1)}
        write_lm(self.folder / FOLDER, self.lm, facts)
        return self.lm, facts

    def _train_epoch(self, batches: list[list[int]]) -> None:
        state = self.state
        self.network.train()
        saved_at = started = time.monotonic()
        for batch in batches[state.position :]:
            loss = self._update([self.train[i] for i in batch])
            state.loss_sum, state.loss_count = state.loss_sum + loss, state.loss_count + 1
            state.position, state.step = state.position + 1, state.step + 1
            state.train_s, started = state.train_s + time.monotonic() - started, time.monotonic()
            self.bar.advance_to(state.epoch - 1 + state.position / len(batches), self._note())
            if self.stop.signum is not None:
                self._save()
                raise Interrupted(self.stop.signum)
            if time.monotonic() - saved_at > _SAVE_EVERY_S:
                self._save()
                saved_at = time.monotonic()

    def _update(self, sentences: list[Tensor]) -> float:
        """Make one step and return the loss, nats for each token."""
        tokens, lens = padded(sentences)
        log_probs = self.network(tokens.to(self.device), lens.to(self.device))
        loss = -log_probs.sum() / int((lens + 1).sum())
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.max_grad_norm)
        value = float(loss.detach())
        if not math.isfinite(value) or not torch.isfinite(norm):
            where = f"{self.folder}, epoch {self.state.epoch}"
            raise DivergedError("a loss or gradient is not finite", where=where, fix="a smaller --lr")
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * self.config.cell.lr_scale * self.schedule.factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return value

    def _end_epoch(self) -> None:
        state = self.state
        self.network.eval()
        dev = self.lm.perplexity(self.dev)
        metrics = {
            "epoch": state.epoch,
            "step": state.step,
            "lr": self.optimizer.param_groups[0]["lr"],
            "train_loss": state.loss_sum / state.loss_count,
            "dev_nats": -dev.log_prob,
            "dev_perplexity_word": dev.per_word,
            "dev_perplexity_character": dev.per_character,
        }
        self.schedule.observe(-dev.log_prob)
        state.metrics.append(metrics)
        self.bar.advance_to(state.epoch, self._note())
        state.start_epoch(state.epoch + 1)
        self._save()

    def _ranked(self) -> list[dict[str, Any]]:
        return sorted(self.state.metrics, key=lambda m: m["dev_nats"])

    def _since_best(self) -> int:
        return len(self.state.metrics) - self._ranked()[0]["epoch"] if self.state.metrics else 0

    def _note(self) -> str:
        state = self.state
        loss = f"loss {state.loss_sum / max(1, state.loss_count):.3f}"
        if not state.metrics:
            return loss
        last, best = state.metrics[-1], self._ranked()[0]
        return f"{loss} dev perplexity {last['dev_perplexity_word']:.2f} (best {best['dev_perplexity_word']:.2f})"

    def _save(self) -> None:
        folder, state = self.folder / "checkpoints", self.state
        optimizer, groups = flatten_optimizer(self.optimizer, dict(self.network.named_parameters()))
        tensors = {"model": self.network.state_dict(), "optimizer": optimizer, "rng": rng_state()}
        meta = {
            "run": state.to_json(),
            "schedule": self.schedule.state(),
            "optimizer": groups,
            "identity": self.identity,
        }
        checkpoint.commit(folder, state.step, tensors, meta)
        atomic_write(self.folder / "metrics.jsonl", "".join(json.dumps(m) + "\n" for m in state.metrics))
        checkpoint.retain(folder, {state.step, *(m["step"] for m in self._ranked()[:1])})

    def resume(self) -> None:
        """Go on where the newest checkpoint stopped, if there is one."""
        found = checkpoint.latest(self.folder / "checkpoints")
        if found is None:
            return
        if changed := _changed(found.state["identity"], self.identity):
            raise ConfigError(
                f"the folder holds the training of a language model with other {', '.join(changed)}",
                where=str(self.folder),
                fix="choose another folder with -o DIR, or restore them",
            )
        self.network.load_state_dict(found.tensors["model"])
        named = dict(self.network.named_parameters())
        restore_optimizer(self.optimizer, named, found.tensors["optimizer"], found.state["optimizer"])
        set_rng_state(found.tensors["rng"])
        for key, value in found.state["run"].items():
            setattr(self.state, key, value)
        self.schedule.restore(found.state["schedule"])
        self.bar.resume_at(self.state.epoch - 1)
        self.bar.write(f"resuming {self.folder} at epoch {self.state.epoch}")


def _changed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return what differs between two trainings, after JSON."""
    new = json.loads(json.dumps(new))
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
