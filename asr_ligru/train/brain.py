"""The training loop: SpeechBrain's ``Brain`` with what it gets wrong for these models corrected.

Corrected here: all parameter groups are clipped, and ``max_grad_norm=None`` turns clipping off (a negative value
would reverse the gradient); the last, incomplete group of accumulated batches is used; a non-finite loss or gradient
stops before the update; an epoch can be continued at any batch with the same bits.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_ligru import ranks, torchaudio_import
from asr_ligru.config import Config
from asr_ligru.data.batching import BatchPlan, EpochBatches
from asr_ligru.data.dataset import SpeechDataset
from asr_ligru.decode.result import Result
from asr_ligru.models.build import Model
from asr_ligru.nn.ligru import layer_growth
from asr_ligru.ops.weight_gradients import postponed
from asr_ligru.train import distributed, memory, nonfinite, workers
from asr_ligru.train.calibration import TEMPERATURES, Calibration, fit_temperature, of_all_processes
from asr_ligru.train.corpus import Corpus
from asr_ligru.train.curves import Curves
from asr_ligru.train.interrupt import Interrupted, StopRequest
from asr_ligru.train.loss import per_token
from asr_ligru.train.objective import Predictions, objective_of
from asr_ligru.train.optim import Schedule, build_optimizer
from asr_ligru.train.progress import ProgressBar
from asr_ligru.train.state import RunState
from asr_ligru.typing import Batch

torchaudio_import.ensure()
from speechbrain.core import Brain, Stage  # noqa: E402  (after torchaudio can be imported)

logging.getLogger("speechbrain.core").setLevel(logging.WARNING)  # importing it turns its chatter on


class AsrBrain(Brain):  # type: ignore[misc]
    """Trains a model on a corpus.

    Args:
        config: of the run.
        model: what is trained.
        corpus: what it is trained on.
        state: where the run stands; changed as it goes on.
        device: "cpu" or "cuda:N".
        save: called when the run should be saved.
        stop: says when a signal came.
        bar: over epochs.
    """

    def __init__(
        self,
        config: Config,
        model: Model,
        corpus: Corpus,
        state: RunState,
        *,
        device: str,
        run_dir: Path,
        save: Callable[[], None],
        stop: StopRequest,
        bar: ProgressBar,
    ) -> None:
        train = config.train
        super().__init__(
            modules={"model": model},
            opt_class=lambda parameters: build_optimizer(parameters, train, train.lr * config.cell.lr_scale),
            run_opts={"device": device, "precision": train.precision, "eval_precision": "fp32"},
        )
        self.config, self.corpus, self.state, self.run_dir = config, corpus, state, run_dir
        self.save, self.stop, self.bar = save, stop, bar
        self.schedule = Schedule(train)
        plan = BatchPlan(
            train.batch_frames, train.max_batch_size, config.seed, train.curriculum_start_frames, train.batch_multiple
        )
        self.train_batches = corpus.train.batches(plan, lambda: state.lost_shards, distributed.own_part)
        self.dev_batches = EpochBatches(plan, corpus.dev.num_frames, distributed.own_batches)
        self.objective = objective_of(config, corpus)
        self.curves = Curves(run_dir) if train.tensorboard and ranks.is_first() else None
        self.init_optimizers()

    def run(self) -> None:
        """Train until the last epoch, the step limit or no more improvement.

        Raises:
            DivergedError: a loss or gradient was not finite.
            Interrupted: a signal came; a checkpoint was written.
        """
        corpus, seed = self.corpus, self.config.seed
        train = SpeechDataset(
            corpus.train.utterances,
            corpus.train.tokens,
            corpus.source,
            seed,
            self.config.train.augment,
            distortion=corpus.distortion,
            of_frames=corpus.hmm is not None,
            ctc_tokens=corpus.train.ctc_tokens,
        )
        with self.stop.later():
            self.fit(self._epochs(), self._loader(train, self.train_batches), self._dev_loader(), False)

    def on_fit_start(self) -> None:
        """Do nothing: optimisers exist since construction and the checkpoint was loaded into them."""

    def compute_forward(self, batch: Batch, stage: Stage) -> Predictions:
        """Return what the objective judges."""
        return self.objective.predict(self.modules.model, batch.feats.to(self.device), batch.feat_lens)

    def compute_objectives(self, predictions: Predictions, batch: Batch, stage: Stage) -> Tensor:
        """Return the loss of each utterance, (B,) float32 nats."""
        return self.objective.losses(predictions, batch)

    def fit_batch(self, batch: Batch) -> Tensor:
        """Use one batch; update the parameters when its group of accumulated batches is complete."""
        done, total = self.state.position, len(self.train_batches.batches)
        group = self.config.train.accumulate
        size = min(group, total - done // group * group)  # the last group may be smaller
        counted = ranks.rank() < len(self.train_batches.batches[done])
        distributed.share_statistics(self.modules, counted)
        buffers = [b.clone() for b in self.modules.buffers()]
        with self.training_ctx:
            predictions = self.compute_forward(batch, Stage.TRAIN)
        losses = self.compute_objectives(predictions, batch, Stage.TRAIN)
        loss, whole = per_token(losses, batch, counted)
        finite = bool(torch.isfinite(whole))
        if finite:
            with postponed() if ranks.count() > 1 else nullcontext():
                (loss / size).backward()  # type: ignore[no-untyped-call]
        if finite and (done % group == size - 1 or done + 1 == total):
            finite = self._update()
        if not finite:
            for buffer, before in zip(self.modules.buffers(), buffers, strict=True):
                buffer.copy_(before)
            nonfinite.report(self, batch, losses)
        self.state.position += 1
        return whole

    def evaluate_batch(self, batch: Batch, stage: Stage) -> Tensor:
        """Show the objective a development batch and return the sum of its losses."""
        with torch.no_grad():
            predictions = self.compute_forward(batch, stage)
            losses = self.compute_objectives(predictions, batch, stage)
        self.objective.observe(predictions, batch)
        return losses.sum().cpu()

    def _epochs(self) -> Iterator[int]:
        state, train = self.state, self.config.train
        if state.epoch > 1 or state.position:
            self.bar.resume_at(self._done())
        while state.epoch <= train.epochs and not self._enough():
            yield state.epoch  # which ``_fit_valid`` counts up

    def _enough(self) -> bool:
        train, state = self.config.train, self.state
        limit = train.max_steps is not None and state.step >= train.max_steps
        return limit or (train.early_stopping is not None and state.since_best() >= train.early_stopping)

    def _fit_train(self, train_set: workers.Loader, epoch: int, enable: bool) -> None:
        state = self.state
        self.modules.train()
        self.train_batches.set_epoch(epoch, state.position)
        saved_at = time.monotonic()
        started = time.monotonic()
        for batch, waited_s in workers.timed(train_set):
            with memory.explained(batch):
                loss = self.fit_batch(batch)
            if math.isfinite(float(loss)):
                state.loss_sum, state.loss_count = state.loss_sum + float(loss), state.loss_count + 1
            state.spent(time.monotonic() - started, waited_s)
            started = time.monotonic()
            self.bar.advance_to(self._done(), self._note())
            if not self._between_updates():
                continue
            last = self.config.train.max_steps is not None and state.step >= self.config.train.max_steps
            if self._save_or_stop(not last and time.monotonic() - saved_at > self.config.train.save_every_s > 0):
                saved_at = time.monotonic()
            if last:
                break

    def _fit_valid(self, valid_set: workers.Loader, epoch: int, enable: bool) -> None:
        train, state = self.config.train, self.state
        metrics: dict[str, Any] = {
            "epoch": epoch,
            "step": state.step,
            "train_loss": state.loss_sum / max(1, state.loss_count),
            "lr": self.optimizer.param_groups[0]["lr"],
            "grad_norm": state.grad_norm,
            "grad_max": state.grad_max,
            "skipped_batches": state.skipped,
            "train_s": round(state.epoch_s, 3),
            "data_wait": round(state.wait_s / max(state.epoch_s, 1e-9), 4),
            "left_out": len(self.corpus.train.utterances) - sum(map(len, self.train_batches.batches)),
        }
        evaluated = epoch % train.eval_every == 0 or epoch == train.epochs or self._enough()
        if evaluated:
            metrics |= self.evaluate_dev(valid_set)
            self.schedule.observe(metrics["dev_wer"])
            metrics |= self._growth(valid_set)
        state.metrics.append(metrics)
        if self.curves is not None:
            self.curves.add(metrics)
        self.bar.advance_to(self._done(), self._note())
        state.start_epoch(epoch + 1)
        self.save()
        self._save_or_stop()

    def _between_updates(self) -> bool:
        """Return whether no gradient waits for further batches: only then nothing is lost by stopping."""
        position = self.state.position
        return position % self.config.train.accumulate == 0 or position == len(self.train_batches.batches)

    def _save_or_stop(self, due: bool = False) -> bool:
        """Save where any process finds it due; save and stop where one was asked to. Return whether it was saved."""
        signum, save = ranks.highest(self.stop.asked, int(due))
        if signum or save:
            self.save()
        if signum:
            raise Interrupted(signum)
        return bool(save)

    def evaluate_dev(self, loader: workers.Loader | None = None) -> dict[str, float]:
        """Return loss for each token and the objective's figures on the development set."""
        dev = self.corpus.dev
        loader = loader or self._dev_loader()
        self.modules.eval()
        self.dev_batches.set_epoch(0)
        total = torch.zeros((), dtype=torch.float64)
        batches = workers.received(loader)
        for _ in range(math.ceil(len(self.dev_batches.batches) / ranks.count())):
            batch = next(batches, None)  # the last ones may be fewer than the processes
            if batch is not None:
                total += self.evaluate_batch(batch, Stage.VALID)
            if not self._enough():  # else the run would be taken for one that ended before this evaluation
                self._save_or_stop()
        ranks.add_up(total)
        tokens = sum(map(len, dev.tokens))
        return {"dev_loss": float(total) / max(1, tokens), **self.objective.metrics()}

    @torch.no_grad()
    def calibrate(self) -> Calibration | None:
        """Return how sure to be of the words of the model as it is, from the development set; see ``calibration``."""
        heard: dict[float, dict[str, Result]] = {t: {} for t in TEMPERATURES}
        self.modules.eval()
        self.dev_batches.set_epoch(0)
        for batch in workers.received(self._dev_loader()):
            readings = self.objective.readings(self.compute_forward(batch, Stage.VALID), TEMPERATURES)
            for temperature, results in zip(TEMPERATURES, readings, strict=True):
                heard[temperature].update(zip(batch.utt_ids, results, strict=True))
        return fit_temperature(of_all_processes(heard), {u.utt_id: u.text for u in self.corpus.dev.utterances})

    def _growth(self, valid_set: workers.Loader) -> dict[str, list[float]]:
        """Return, for a LiGRU, how far one step can stretch each layer's state: what rises before it diverges."""
        model = self.modules.model
        if self.config.cell.name != "ligru" or not ranks.is_first():
            return {}
        batch = workers.first(valid_set)
        x, lens = model.stack(batch.feats.to(self.device), batch.feat_lens)
        return {"growth": layer_growth(model.encoder, x, lens)}

    def _update(self) -> bool:
        """Clip, step and clear the gradients; False, and no step, when they are not finite."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        distributed.add_up_gradients(parameters)
        limit = self.config.train.max_grad_norm
        norm = torch.nn.utils.clip_grad_norm_(parameters, math.inf if limit is None else limit)
        if not torch.isfinite(norm):
            return False
        self._set_lr()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.state.grad_norm = float(norm)
        self.state.grad_max = max(self.state.grad_max, self.state.grad_norm)
        self.state.step += 1
        return True

    def _set_lr(self) -> None:
        base = self.config.train.lr * self.config.cell.lr_scale
        factor = self.schedule.at((self._done() + 1 / len(self.train_batches.batches)) / self.config.train.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = base * factor

    def _done(self) -> float:
        """Return how many epochs are done, with the fraction of the one under way."""
        return self.state.epoch - 1 + self.state.position / max(1, len(self.train_batches.batches))

    def _note(self) -> str:
        state = self.state
        best = state.best_wer()
        wer = "" if best is None else f" dev WER {100 * state.last_wer():.1f} % (best {100 * best:.1f})"
        return f"loss {state.loss_sum / max(1, state.loss_count):.3f}{wer}"

    def _dev_loader(self) -> workers.Loader:
        dev = self.corpus.dev
        dataset = SpeechDataset(dev.utterances, dev.tokens, self.corpus.source, ctc_tokens=dev.ctc_tokens)
        return self._loader(dataset, self.dev_batches)

    def _loader(self, dataset: SpeechDataset, batches: EpochBatches) -> workers.Loader:
        train = self.config.train
        return workers.loader(dataset, batches, train.num_workers, train.worker_timeout_s)
