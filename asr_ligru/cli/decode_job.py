"""What ``asr-ligru decode`` does once its options are read."""

from __future__ import annotations

import argparse
import io
import logging
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from asr_ligru.cli.decode_bar import DecodeBar
from asr_ligru.decode.choose import Knowledge, as_read_by, make_decoder
from asr_ligru.decode.files import decode_files
from asr_ligru.decode.inputs import Input, find_inputs, read_speaker_map, with_speakers
from asr_ligru.decode.outputs import OutputFolder, for_stdout, output_names, utt_ids
from asr_ligru.decode.recording import Settings
from asr_ligru.decode.run import Timing
from asr_ligru.decode.speakers import uses_speakers
from asr_ligru.decode.transcript import Transcript
from asr_ligru.decode.writers import Style
from asr_ligru.errors import ConfigError
from asr_ligru.models.combined import combine
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.safety import printable

_ONE_FILE_EACH = ("srt", "vtt")  # cannot follow each other on standard output

log = logging.getLogger(__name__)


class DecodeJob:
    """One call of the verb.

    Args:
        options: as the parser read them.

    Raises:
        AsrLigruError: the options or what they name cannot be used.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._knowledge = Knowledge(
            options.lm,
            options.lexicon,
            options.decode_config,
            options.hot_words,
            options.acoustic_scale,
            options.word_score,
            options.rescore,
            options.rescore_weight,
            options.rescore_bonus,
        )
        self._folder = None if options.output == "-" else OutputFolder(Path(options.output), options.format)
        inputs = self._with_speakers(find_inputs(options.audio, with_raw=options.raw_rate is not None))
        if self._folder is None and options.format[0] in _ONE_FILE_EACH and len(inputs) > 1:
            raise ConfigError(f"{options.format[0]} of several files needs a folder", fix="name it: -o DIR")
        names, ids = output_names(inputs), utt_ids(inputs)
        self._place = {one: (name, utt_id) for one, name, utt_id in zip(inputs, names, ids, strict=True)}
        self._todo = [one for one in inputs if not self._is_there(one)]
        self._skipped = len(inputs) - len(self._todo)
        self._timing = Timing()
        self._failed: list[Transcript] = []
        self._done = 0

    def run(self) -> int:
        """Decode, and return the exit code."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # whatever the locale
        try:
            if self._todo:
                self._decode(self._load())
        except KeyboardInterrupt:
            self._report()
            raise
        self._report()
        return 1 if self._failed else 0

    def _load(self) -> LoadedModel:
        if self._options.threads:
            torch.set_num_threads(self._options.threads)
        device = choose_device(self._options.device)
        paths = (self._options.model, *self._options.others)
        decoder, known = self._options.decoder, self._knowledge
        model = combine([as_read_by(load_model(path), decoder, known) for path in paths])
        model.to(device)
        cell = model.config.cell
        size = f"{cell.num_layers}x{cell.hidden_size}, {model.network.num_parameters() / 1e6:.2f} M parameters"
        size += f", with {len(self._options.others)} more" if self._options.others else ""
        threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
        what = f"{cell.name} {size}, {model.config.features_label}, {model.config.tokens.name} units"
        log.info("model: %s, on %s%s", what, device, threads)
        if self._options.speaker_map and not uses_speakers(model):
            log.warning("this model does not adapt to speakers: --speaker-map changes nothing")
        return model

    def _decode(self, model: LoadedModel) -> None:
        options = self._options
        settings = Settings(
            decoder=make_decoder(model, options.decoder, self._knowledge),
            n_best=options.n_best,
            channel=options.channel,
            raw_rate_hz=options.raw_rate,
            batch_size=options.batch_size,
        )
        started = time.monotonic()
        with DecodeBar(self._todo, enabled=not options.quiet and sys.stderr.isatty()) as bar:
            done = decode_files(model, self._todo, settings, fail_fast=options.fail_fast, heard=bar.heard)
            for source, transcript in done:
                self._timing.audio_s += transcript.duration_s
                self._timing.wall_s = time.monotonic() - started
                with bar.hidden():
                    self._take(source, transcript)
                bar.file_done()

    def _take(self, source: Input, transcript: Transcript) -> None:
        """Write what was heard in one input."""
        options = self._options
        name, utt_id = self._place[source]
        several = self._folder is None and len(self._place) > 1
        style = Style(utt_id, source.name if several else "", options.word_times, options.confidence, not several)
        if transcript.status != "ok":
            self._failed.append(transcript)
        else:
            self._done += 1
        if self._folder is None:
            header = self._done + len(self._failed) == 1
            sys.stdout.write(for_stdout(transcript, options.format[0], style, header))
            sys.stdout.flush()
        elif transcript.status == "ok":
            self._folder.write(name, transcript, style)

    def _report(self) -> None:
        """Say on standard error what failed, and how it went."""
        for transcript in self._failed:
            _tell(f"failed: {printable(transcript.source)}: {printable(transcript.status)}")
        if self._options.quiet or (len(self._place) == 1 and self._folder is None and not self._options.verbose):
            return
        _tell(self._summary())
        if self._options.verbose:
            _tell(f"peak memory {peak_memory_bytes() / 1e6:.0f} MB")

    def _summary(self) -> str:
        total = len(self._todo)
        there = f"{_files(self._skipped)} skipped, whose results are there" if self._skipped else ""
        if not total:
            return there
        left = total - self._done - len(self._failed)
        parts = [
            f"{self._done} of {_files(total)} decoded",
            f"{len(self._failed)} failed" if self._failed else "",
            f"{left} not tried" if left else "",
            there,
        ]
        cost = f"{_clock(self._timing.audio_s)} of audio, real-time factor {self._timing.rtf:.4f}"
        return f"{', '.join(part for part in parts if part)}; {cost}"

    def _is_there(self, one: Input) -> bool:
        return self._options.skip_existing and self._folder is not None and self._folder.has(self._place[one][0])

    def _with_speakers(self, inputs: Sequence[Input]) -> list[Input]:
        if not self._options.speaker_map:
            return list(inputs)
        mapped, hits = with_speakers(inputs, read_speaker_map(self._options.speaker_map))
        if hits < len(inputs):
            log.warning("--speaker-map names %d of %d files; the others have no known speaker", hits, len(inputs))
        return mapped


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; "auto" is the first GPU where there is one.

    Raises:
        ConfigError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (kind == "cuda" and gpus and (not number or (number.isdecimal() and int(number) < gpus))):
        return torch.device(name)
    raise ConfigError(f"no device {name!r} here: cpu and {gpus} GPUs", where="--device", fix="--device auto")


def peak_memory_bytes() -> int:
    """Return the most memory this process held, on the GPU where it used one."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{seconds:.0f} s" if whole < 600 else f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
