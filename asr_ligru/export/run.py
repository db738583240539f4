"""Export a model: checked against its origin before anything appears."""

from __future__ import annotations

import importlib.util
import io
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_ligru.config import as_dict
from asr_ligru.data import audio
from asr_ligru.decode.choose import as_read_by
from asr_ligru.errors import ConfigError, EnvironmentError_
from asr_ligru.export.check import Check, Runner, compare, made_up_wavs, onnx_runner
from asr_ligru.export.torchscript import torchscript_model
from asr_ligru.models.ctc import CtcModel
from asr_ligru.models.load import LoadedModel, load_model, model_folder
from asr_ligru.registry import Registry
from asr_ligru.safety import atomic_write, json_text, printable
from asr_ligru.safety.files import write_errors

FORMAT = 1  # of the JSON beside a model
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes


@dataclass(frozen=True)
class Job:
    """What is exported where.

    Attributes:
        model: what is exported.
        folder: its model folder.
        target: what is written.
        recordings: audio to compare on; may be empty.
    """

    model: LoadedModel
    folder: Path
    target: Path
    recordings: Sequence[Path]


EXPORTERS: Registry[Callable[[Job], Check | None]] = Registry("export format")


def export(source: Path, kind: str, target: Path, recordings: Sequence[Path] = ()) -> Check | None:
    """Write a model in another format.

    Args:
        source: a run folder, a model folder or a ``.zip`` of one.
        kind: "zip", "onnx", "torchscript" or "speechbrain".
        target: what is written; ONNX and TorchScript files get a ``.json`` beside them.
        recordings: audio files that the exported model is compared with its origin on; without them a tone and noise.

    Returns:
        What the comparison found; None for formats that are copies.

    Raises:
        ConfigError: an unknown format, something is at ``target``, or the cell has no such form.
        DataError: there is no model, or a recording cannot be read.
        EnvironmentError_: an extra is not installed, or ``target`` cannot be written.
        AsrLigruError: the exported model does not say the same.
    """
    exporter = EXPORTERS[kind]
    for path in (target, _beside(target)):
        if os.path.lexists(path):
            fix = "name another with -o, or remove it"
            raise ConfigError("there is something already", where=printable(str(path)), fix=fix)
    with model_folder(source) as folder:
        return exporter(Job(as_read_by(load_model(folder), "greedy"), folder, target, recordings))


def _network(job: Job) -> CtcModel:
    network = job.model.network
    if not isinstance(network, CtcModel):
        raise ConfigError("only models that are trained with CTC have this form; this one is a hybrid", fix="--to zip")
    return network


@EXPORTERS.register("zip")
def _to_zip(job: Job) -> None:
    atomic_write(job.target, zip_of(job.folder))


@EXPORTERS.register("onnx")
def _to_onnx(job: Job) -> Check:
    for name in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            raise EnvironmentError_(f"{name} is not installed", fix='pip install "asr-ligru[export]"')
    from asr_ligru.export.onnx_model import onnx_model

    content = onnx_model(_network(job), job.model.frontend.size)
    return _checked(job, content, onnx_runner(content))


@EXPORTERS.register("torchscript")
def _to_torchscript(job: Job) -> Check:
    content, run = torchscript_model(_network(job), job.model.frontend.size)
    return _checked(job, content, run)


@EXPORTERS.register("speechbrain")
def _to_speechbrain(job: Job) -> None:
    _network(job)
    rate_hz = job.model.config.features.sample_rate_hz
    with write_errors(job.target.parent, 0):
        job.target.mkdir()
    atomic_write(job.target / "encoder.ckpt", zip_of(job.folder))
    atomic_write(job.target / "hyperparams.yaml", _HYPERPARAMS.format(rate_hz=rate_hz))


_HYPERPARAMS = """\
# For speechbrain.inference.ASR.EncoderASR.from_hparams; needs the package asr_ligru.
# encoder.ckpt is the model's .zip: the name that SpeechBrain looks for.
encoder: !new:asr_ligru.integrations.encoder_asr.Encoder
tokenizer: !new:asr_ligru.integrations.encoder_asr.Texts
  encoder: !ref <encoder>
decoding_function: !name:asr_ligru.integrations.encoder_asr.best_tokens
  blank_id: 0
audio_normalizer: !new:speechbrain.dataio.preprocess.AudioNormalizer
  sample_rate: {rate_hz}
modules:
  encoder: !ref <encoder>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables:
    encoder: !ref <encoder>
  custom_hooks:
    encoder: !name:asr_ligru.integrations.encoder_asr.load
"""


def zip_of(folder: Path) -> bytes:
    """Return a model folder as one ``.zip``; the same folder gives the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            if path.suffix != ".md":  # the one thing that may be added to a model folder
                archive.writestr(zipfile.ZipInfo(path.name, _ZIP_TIME), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _checked(job: Job, content: bytes, run: Runner) -> Check:
    """Compare, then write the model and what its user must know."""
    model = job.model
    rate_hz = model.config.features.sample_rate_hz
    read = [audio.read(path, sample_rate_hz=rate_hz, resample=True, channel="mix") for path in job.recordings]
    check = compare(model, run, [model.feats(wav) for wav in read or made_up_wavs(rate_hz)])
    atomic_write(job.target, content)
    atomic_write(_beside(job.target), json_text(_description(model), indent=1))
    return check


def _beside(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")


def _description(model: LoadedModel) -> dict[str, Any]:
    statistics = model.frontend.state_dict() if model.config.features.cmvn == "global" else {}
    return {
        "format": FORMAT,
        "inputs": {"feats": ["B", "T", model.frontend.size], "feat_lens": ["B"]},
        "outputs": {"log_probs": ["B", "ceil(T / stack_frames)", model.tokenizer.vocab_size], "log_prob_lens": ["B"]},
        "stack_frames": model.config.model.stack_frames,
        "frame_s": model.frame_s,
        "temperature": model.temperature,
        "tokenizer": model.tokenizer.kind,
        "tokens": list(model.tokenizer.tokens),
        "blank_id": 0,
        "features": as_dict(model.config.features),
        "statistics": {name: tensor.tolist() for name, tensor in statistics.items()},
    }
