"""Any corpus that lhotse can prepare, as a listing of ours."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from asr_ligru.data import audio
from asr_ligru.data.layout import TO_MEASURE, Listing
from asr_ligru.data.segments import Recordings
from asr_ligru.errors import ConfigError, DataError, EnvironmentError_
from asr_ligru.registry import nearest
from asr_ligru.safety import printable
from asr_ligru.typing import Utterance

_PREPARE = "prepare_"
_REFUSALS = (AssertionError, AttributeError, LookupError, OSError, TypeError, ValueError)  # of a folder it cannot read


def read_corpus(name: str, root: Path, out: Path) -> Listing:
    """Let lhotse read a corpus and turn its manifests into a listing.

    Args:
        name: as in ``lhotse prepare``, such as ``librispeech``.
        root: the corpus folder, as lhotse's function for this corpus wants it.
        out: gets ``channels``, a file for each channel of recordings with several, and ``manifests`` where lhotse's
            function writes its own.

    Returns:
        lhotse's splits, in lower case. What has no text or no audio file is left out.

    Raises:
        ConfigError: lhotse does not know the corpus, or wants more than its folder.
        DataError: it cannot read the folder, or found nothing that is transcribed.
        EnvironmentError_: lhotse is not installed.
    """
    prepare = _function(name, out / "manifests")
    try:
        manifests = prepare(root)
    except _REFUSALS as error:
        what = f"lhotse cannot read it as {name}: {type(error).__name__}: {printable(str(error)[:300])}"
        raise DataError(
            what, where=str(root), fix=f"see `lhotse prepare {name} --help`; --root is its folder"
        ) from error
    listing, recordings = Listing({}), Recordings()
    for split, found in _sets(manifests, ""):
        listing.splits[split] = []
        _read_set(found, split, listing, recordings, out / "channels")
    if not listing.splits:
        raise DataError(f"lhotse has no transcripts of {name}", where=str(root), fix="take a corpus of speech")
    return listing


def known_corpora() -> list[str]:
    """Return the names of the corpora that lhotse can prepare.

    Raises:
        EnvironmentError_: lhotse is not installed.
    """
    return sorted(name.removeprefix(_PREPARE) for name in dir(_recipes()) if name.startswith(_PREPARE))


def _recipes() -> ModuleType:
    try:
        from lhotse import recipes
    except ImportError as error:
        raise EnvironmentError_("this corpus needs lhotse", fix='pip install "asr-ligru[lhotse]"') from error
    module: ModuleType = recipes
    return module


def _function(name: str, output: Path) -> Callable[[Path], Any]:
    """Return lhotse's function, which must be content with the corpus folder and, some are, one for its output."""
    known = known_corpora()
    if name not in known:
        raise ConfigError(f"lhotse knows no corpus {name!r}", fix=f"{nearest(name, known)}; lhotse knows {len(known)}")
    function: Callable[..., Any] = getattr(_recipes(), _PREPARE + name)
    _, *others = inspect.signature(function).parameters.values()
    needed = [parameter.name for parameter in others if parameter.default is parameter.empty]
    writes = "output_dir" in needed
    if needed != ["output_dir"] * writes:
        fix = "write a Kaldi folder with `lhotse prepare` and `lhotse kaldi export`, then `asr-ligru prepare kaldi`"
        raise ConfigError(f"lhotse's {name} needs more than its folder: {', '.join(needed)}", fix=fix)
    return partial(function, output_dir=output) if writes else function


def _sets(manifests: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (split, its recordings and supervisions) of manifests nested to any depth."""
    if not isinstance(manifests, Mapping):
        return
    if "recordings" in manifests and "supervisions" in manifests:
        yield name or "all", manifests
        return
    for key, value in manifests.items():
        inner = re.sub(r"[^a-z0-9]+", "_", str(key).lower()).strip("_")
        yield from _sets(value, f"{name}_{inner}".strip("_"))


def _read_set(found: Mapping[str, Any], split: str, listing: Listing, recordings: Recordings, channels: Path) -> None:
    of_id = {recording.id: recording for recording in found["recordings"]}
    named = set()
    for segment in found["supervisions"]:
        named.add(segment.recording_id)
        recording = of_id.get(segment.recording_id)
        text = " ".join((segment.text or "").split())
        problem = "no recording has this name" if recording is None else "" if text else "no transcript"
        path = None if problem else _file(recording, segment.channel, channels)
        if path is None:
            reason = problem or "lhotse has its audio not in a file"
            listing.leave_out(segment.id, reason, Path(segment.recording_id))
            continue
        whole = segment.start == 0 and abs(segment.duration - of_id[segment.recording_id].duration) < 1e-3
        speaker, begin_s = segment.speaker or "", float(segment.start)
        if whole:
            listing.splits[split].append(Utterance(segment.id, path, TO_MEASURE, text, speaker))
        else:
            recordings.add(listing, split, Utterance(segment.id, path, float(segment.duration), text, speaker, begin_s))
    for name in sorted(of_id.keys() - named):
        listing.leave_out(name, "no transcript names it", Path(str(of_id[name].sources[0].source)))


def _file(recording: Any, channel: int | list[int], channels: Path) -> Path | None:
    """Return the file that holds one channel alone, written if need be; of several channels the first is taken."""
    first = channel if isinstance(channel, int) else channel[0]
    source = next((source for source in recording.sources if first in source.channels), None)
    if source is None or source.type != "file":
        return None
    path = Path(source.source)
    if len(source.channels) == 1:
        return path
    alone = channels / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', recording.id)}-{first}.wav"
    if not alone.is_file():
        channels.mkdir(exist_ok=True)
        wav = audio.read(path, channel=str(source.channels.index(first)))
        audio.write(alone, wav, recording.sampling_rate)
    return alone
