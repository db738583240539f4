"""One run from a configuration to a scored model folder. The same configuration again goes on where it stopped."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_ligru import ranks
from asr_ligru.config import Config, as_dict
from asr_ligru.data.manifest import write_bad_utterances
from asr_ligru.errors import ConfigError
from asr_ligru.features.augment import generator
from asr_ligru.models.build import build_model
from asr_ligru.models.folder import write_model_folder
from asr_ligru.models.network import check_heads
from asr_ligru.nn.frontend import StackFrames
from asr_ligru.ops import denormals
from asr_ligru.ops.fused_cpu.memory import keep_few_kernels, keep_freed_memory
from asr_ligru.safety import atomic_write, json_text, printable, read_json
from asr_ligru.train import checkpoint, distributed, workers
from asr_ligru.train.brain import AsrBrain
from asr_ligru.train.corpus import Corpus, load_corpus
from asr_ligru.train.finish import by_extent, score_and_record
from asr_ligru.train.interrupt import StopRequest
from asr_ligru.train.lock import run_lock
from asr_ligru.train.progress import ProgressBar
from asr_ligru.train.snapshot import flatten_optimizer, restore_optimizer, rng_state, set_rng_state
from asr_ligru.train.state import RunState
from asr_ligru.typing import BadUtterance

log = logging.getLogger(__name__)

# Keys that must stay as they were when a run is continued, because its parameters or targets depend on them.
ARCHITECTURE = ("cell", "model", "features", "streams", "hmm", "tokens", "corpus", "seed")
_MAY_CHANGE = ("cell.backend", "cell.lr_scale", "features.cache", "corpus.dir", "corpus.max_bad_rate", "corpus.shards")
_OF_PLACE = ("exp_dir", "exp_root", "run_name", "decode.split")  # where a run lies, and what is done after it


@dataclass(frozen=True)
class Run:
    """A run's folder and what belongs in it."""

    config: Config
    dir: Path
    command: str

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.dir / "checkpoints"

    @property
    def finished(self) -> bool:
        """Whether the run came to its end, with the split scored that is asked for now."""
        path = self.dir / "run.json"
        return path.is_file() and read_json(path).get("split") == self.config.decode.split


def train(config: Config, command: str = "") -> Path:
    """Train, average, score: everything a recipe says.

    Args:
        config: of the run; ``exp_dir`` names its folder.
        command: what the user typed, recorded with the results.

    Returns:
        The run's folder, with ``model/``, ``metrics.jsonl``, ``wer.json``, ``hyp.jsonl`` and ``run.json``.

    Raises:
        ConfigError: the folder is in use or holds a run of another architecture.
        DataError: the corpus is unusable.
        DivergedError: a loss or gradient was not finite.
    """
    check_heads(config.cell, config.model)  # before anything takes time
    run = Run(config, Path(config.exp_dir), command)
    _set_threads(config)  # before the processes meet: one of several threads is not bound to a core
    with distributed.together(config.train.ddp_timeout_s), ExitStack() as held:
        if ranks.is_first():
            held.enter_context(run_lock(run.dir))
        stop = held.enter_context(StopRequest(ranks.count() > 1))
        held.enter_context(workers.watched())
        held.enter_context(denormals.flushed())
        if _prepare(run):
            return run.dir
        keep_freed_memory()
        keep_few_kernels()
        torch.manual_seed(config.seed)
        corpus = _load(run)
        _fit(run, corpus, stop)
    return run.dir


def _prepare(run: Run) -> bool:
    """Make the folder ready, in the first process; return whether there is nothing left to do."""
    if ranks.is_first():
        checkpoint.sweep(run.checkpoints)
        checkpoint.sweep(run.dir)
        _compare_settings(run)
        if run.finished:
            log.info("%s is finished", run.dir)
        else:
            atomic_write(run.dir / "config.json", json_text(as_dict(run.config), indent=1))
    distributed.agree(configuration=as_dict(run.config))
    return ranks.gathered(run.finished)[0]


def _fit(run: Run, corpus: Corpus, stop: StopRequest) -> None:
    config = run.config
    model = build_model(config, corpus.source.frontend.size, corpus.tokenizer.vocab_size, corpus.hmm)
    state = RunState()
    label = config.cell.name
    if not ranks.is_first():  # the same model in each process, but other dropout
        torch.manual_seed(int(generator(config.seed, ranks.rank(), "dropout").integers(2**62)))
    with ProgressBar(label, config.train.epochs, _shows_progress(config)) as bar:
        brain = AsrBrain(
            config,
            model,
            corpus,
            state,
            device=device(config.train.device),
            run_dir=run.dir,
            save=lambda: save(run, brain),
            stop=stop,
            bar=bar,
        )
        _resume(run, brain)
        brain.run()
    tensors, dev = _choose_weights(run, brain)
    model.load_state_dict(tensors)
    calibration = brain.calibrate()
    if ranks.is_first():
        write_model_folder(
            run.dir / "model",
            tensors=tensors,
            meta={
                "config": as_dict(config),
                "num_features": corpus.source.frontend.size,
                "temperature": calibration.temperature if calibration else 1.0,
                "longest_s": max(u.duration_s for u in corpus.train.utterances),
            },
            tokenizer=corpus.tokenizer,
            frontend_tensors=corpus.source.frontend.state_dict(),
            lexicon_path=Path(config.corpus.dir) / "lexicon.txt" if corpus.lexicon else None,
            hmm=corpus.hmm,
        )
    ranks.wait_for_all()
    corpus.train.close()
    facts = {"dev_wer": dev["dev_wer"], **(asdict(calibration) if calibration else {})}
    score_and_record(run.dir, config, state, dev=facts, command=run.command, bad=corpus.bad)


def _shows_progress(config: Config) -> bool:
    return config.train.progress and ranks.is_first()


def save(run: Run, brain: AsrBrain) -> None:
    """Commit a checkpoint, then metrics, then drop checkpoints that are neither newest nor among the best.

    All processes of the run call it, and the first one writes.
    """
    state, config = brain.state, run.config
    random = distributed.all_rng_states(rng_state())
    if not ranks.is_first():
        return
    optimizer, groups = flatten_optimizer(brain.optimizer, dict(brain.modules.model.named_parameters()))
    tensors: dict[str, dict[str, Tensor]] = {
        "model": brain.modules.model.state_dict(),
        "optimizer": optimizer,
        "rng": random,
    }
    meta = {
        "run": state.to_json(),
        "schedule": brain.schedule.state(),
        "optimizer": groups,
        "corpus": brain.corpus.fingerprint,
        "processes": ranks.count(),
    }
    checkpoint.commit(run.checkpoints, state.step, tensors, meta)
    _write_metrics(run.dir, state)
    best = {m["step"] for m in state.evaluated()[: config.train.average_best]}
    checkpoint.retain(run.checkpoints, best | {state.step})


def device(name: str) -> str:
    """Return "cpu" or this process' GPU for ``auto``, and ``name`` itself when the machine has it.

    Raises:
        ConfigError: there is no such device.
    """
    if name in ("auto", "cuda") and torch.cuda.is_available():
        return distributed.local_gpu()
    if name == "auto":
        return "cpu"
    if name != "cpu" and not (name.startswith("cuda") and torch.cuda.is_available()):
        raise ConfigError(f"no device {name!r} here", where="train.device", fix="train.device=auto")
    return name


def _load(run: Run) -> Corpus:
    config = run.config
    cache = Path(config.corpus.dir) / "features" if config.features.cache else None
    bars = partial(ProgressBar, enabled=_shows_progress(config), leave=False)
    bad: list[BadUtterance] = []
    try:
        corpus = load_corpus(config, cache, StackFrames(config.model.stack_frames).output_length, bars, bad)
    finally:
        if ranks.is_first():
            write_bad_utterances(run.dir / "bad_utterances.jsonl", bad)
    distributed.agree(corpus=corpus.fingerprint)
    for what, found in zip(("left out", "without loss of the CTC head"), by_extent(bad), strict=True):
        if found and ranks.is_first():
            log.warning(
                "%d utterances %s, such as %s (%s); all in %s",
                len(found), what, found[0].utt_id, found[0].reason, run.dir / "bad_utterances.jsonl",
            )  # fmt: skip
    _record_sounds(run, corpus.distortion.bad if corpus.distortion else [])
    return corpus


def _record_sounds(run: Run, bad: Sequence[BadUtterance]) -> None:
    if bad:
        path = run.dir / "bad_sounds.jsonl"
        write_bad_utterances(path, bad)
        named = printable(", ".join(f"{b.utt_id} ({b.reason})" for b in bad[:3]))
        log.warning("%d noises or impulse responses cannot be used: %s; all in %s", len(bad), named, path)


def _compare_settings(run: Run) -> None:
    """Refuse to go on with another architecture, and say which other settings are no longer what they were."""
    path = run.dir / "config.json"
    if not path.is_file():
        return
    # keys that came later had their defaults
    old, new = _flat(as_dict(Config())) | _flat(read_json(path)), _flat(as_dict(run.config))
    changed = {
        key: f"{key}: {old.get(key)!r} -> {new.get(key)!r}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    }
    refused = [text for key, text in changed.items() if key.split(".")[0] in ARCHITECTURE and key not in _MAY_CHANGE]
    if refused:
        raise ConfigError(
            "the run folder holds a run of another architecture: " + "; ".join(refused),
            where=str(run.dir),
            fix="choose another folder with exp_dir=FOLDER, or restore those keys",
        )
    told = printable("; ".join(text for key, text in changed.items() if key not in _OF_PLACE))
    if told and not run.finished:
        log.info("going on with other settings: %s", told)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _set_threads(config: Config) -> None:
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    if config.train.deterministic:
        torch.use_deterministic_algorithms(True)


def _resume(run: Run, brain: AsrBrain) -> None:
    found = checkpoint.latest(run.checkpoints)
    distributed.agree(checkpoint=found and found.step)
    if found is None:
        return
    if found.state.get("corpus", brain.corpus.fingerprint) != brain.corpus.fingerprint:
        raise ConfigError(
            "the run began with other utterances, transcripts or output units than there are now",
            where=str(run.dir),
            fix=f"restore the corpus in {run.config.corpus.dir}, or choose another folder with exp_dir=FOLDER",
        )
    brain.modules.model.load_state_dict(found.tensors["model"])
    named = dict(brain.modules.model.named_parameters())
    restore_optimizer(brain.optimizer, named, found.tensors["optimizer"], found.state["optimizer"])
    set_rng_state(distributed.own_rng_states(found.tensors["rng"]))
    for key, value in found.state["run"].items():
        setattr(brain.state, key, value)
    brain.schedule.restore(found.state["schedule"])
    brain.bar.write(f"resuming {run.dir} at epoch {brain.state.epoch}, step {brain.state.step}")
    if ranks.is_first():
        _write_metrics(run.dir, brain.state)
        before, now = found.state.get("processes", 1), ranks.count()
        if before != now:
            log.warning(
                "saved by %d process%s and continued by %d: results will not equal those of an unbroken run exactly",
                before, "es" if before > 1 else "", now,
            )  # fmt: skip


def _write_metrics(run_dir: Path, state: RunState) -> None:
    atomic_write(run_dir / "metrics.jsonl", "".join(json.dumps(m) + "\n" for m in state.metrics))


def _choose_weights(run: Run, brain: AsrBrain) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the average of the best checkpoints, or the best one where that is better, and its development metrics."""
    ranks.wait_for_all()  # until the last checkpoint is written
    records = brain.state.evaluated()[: run.config.train.average_best]
    states = [checkpoint.load(run.checkpoints / checkpoint.name_of(m["step"])).tensors["model"] for m in records]
    if len(states) == 1:
        return states[0], records[0]
    mean = {name: _mean([state[name] for state in states]) for name in states[0]}
    brain.modules.model.load_state_dict(mean)
    of_mean = brain.evaluate_dev()
    return (mean, of_mean) if of_mean["dev_wer"] <= records[0]["dev_wer"] else (states[0], records[0])


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([t.double() for t in tensors]).mean(dim=0).to(tensors[0].dtype)
