"""``asr-ligru serve``: a web page of one's own that transcribes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr_ligru.decode.result import Decoder
    from asr_ligru.models.load import LoadedModel
    from asr_ligru.serve.limits import Limits

_EPILOG = """
examples:
  asr-ligru serve exp/an4_ctc/ligru-fbank40-char-seed1
  asr-ligru serve MODEL --port 8080 --max-mb 500 --max-seconds 7200
  curl --data-binary @my.wav http://127.0.0.1:8000/api/transcribe

Only this computer can open the page unless --host says otherwise. Ctrl-C ends
it.
Needs the extra web: pip install "asr-ligru[web]"
"""


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "serve",
        help="a local web page: drop or record audio, read the text",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a run folder, or an exported model folder or .zip")
    add("--host", default="127.0.0.1", metavar="H", help="address to bind to (%(default)s: this computer only)")
    add("--port", type=_whole(0, 65535), default=8000, metavar="N", help="0 takes a free one (%(default)s)")
    add("--device", default="auto", metavar="D", help="auto, cpu, cuda or cuda:N (default: auto)")
    add("--decoder", metavar="D", help="greedy, words, beam or wfst (default: as the model and the rest ask for)")
    add("--lm", type=Path, metavar="ARPA", help="n-gram language model for words, beam or wfst")
    add("--lexicon", type=Path, metavar="FILE", help="words and their spelling, for wfst")
    add("--decode-config", type=Path, metavar="FILE", help="weights for beam that `asr-ligru tune` wrote")
    add("--allow-host", action="append", default=[], metavar="NAME", help="also answer when called by this name")
    add("--max-mb", type=_whole(1, 100_000), default=100, metavar="N", help="largest upload, MB (%(default)s)")
    add("--max-seconds", type=_whole(1, 604_800), default=3600, metavar="S", help="longest recording (%(default)s)")
    add("--timeout", type=_whole(1, 86_400), default=600, metavar="S", help="longest work on one, s (%(default)s)")
    add("--jobs", type=_whole(1, 64), default=2, metavar="N", help="transcribed at the same time (%(default)s)")
    add("--queue", type=_whole(1, 512), default=256, metavar="N", help="accepted at the same time (%(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from asr_ligru.errors import EnvironmentError_

    try:
        from asr_ligru.serve.run import listen, make_server, url_of, warning_of
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        what = f"the page needs {error.name}, which is not installed"
        raise EnvironmentError_(what, fix='pip install "asr-ligru[web]"') from error

    warning = warning_of(options.host)
    if warning:
        print(warning, file=sys.stderr)
    with listen(options.host, options.port) as bound:
        server = make_server(
            *_model_and_decoder(options),
            _limits(options),
            name=options.model.resolve().name,
            is_local=not warning,
            names=frozenset([options.host, *options.allow_host]),
        )
        print(f"open {url_of(bound, options.host)} in a browser; Ctrl-C ends this", flush=True)
        server.run(sockets=[bound])
    raise KeyboardInterrupt  # only a signal ends it; uvicorn raises that again, but once in many starts it was lost


def _model_and_decoder(options: argparse.Namespace) -> tuple[LoadedModel, Decoder]:
    from asr_ligru.cli.decode_job import choose_device
    from asr_ligru.decode.choose import Knowledge, as_read_by, make_decoder
    from asr_ligru.models.load import load_model

    device = choose_device(options.device)
    knowledge = Knowledge(options.lm, options.lexicon, options.decode_config)
    model = as_read_by(load_model(options.model), options.decoder, knowledge)
    model.to(device)
    return model, make_decoder(model, options.decoder, knowledge)


def _limits(options: argparse.Namespace) -> Limits:
    from asr_ligru.serve.limits import Limits

    max_bytes = options.max_mb * 1_000_000
    return Limits(
        max_bytes=max_bytes,
        max_seconds=options.max_seconds,
        jobs=options.jobs,
        queue=options.queue,
        total_bytes=max(Limits.total_bytes, max_bytes),
        timeout_s=options.timeout,
    )


def _whole(low: int, high: int) -> Any:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and low <= int(text[:12]) <= high):
            raise argparse.ArgumentTypeError(f"expected a whole number from {low} to {high}, got {text[:20]!r}")
        return int(text)

    return parse
