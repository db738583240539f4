"""Let lhotse read a corpus that has no recipe of its own here."""

from __future__ import annotations

from pathlib import Path

from asr_ligru.data.layout import Listing
from asr_ligru.errors import ConfigError
from asr_ligru.integrations.lhotse import known_corpora, read_corpus


def prepare(root: Path | None, out: Path, name: str = "") -> Listing:
    """List the utterances of a corpus as lhotse has them.

    Args:
        root: the corpus folder, as lhotse's function for this corpus wants it.
        out: gets files of single channels where recordings have several.
        name: as in ``lhotse prepare``, such as ``librispeech``.

    Returns:
        lhotse's splits.

    Raises:
        ConfigError: no ``root``, no name, an unknown one, or one for which a folder is not enough.
        DataError: the folder is not this corpus.
        EnvironmentError_: lhotse is not installed.
    """
    if not name:
        raise ConfigError("which corpus?", fix=f"asr-ligru prepare lhotse:NAME, NAME of {', '.join(known_corpora())}")
    if root is None:
        raise ConfigError(f"where is {name}?", fix=f"asr-ligru prepare lhotse:{name} --root DIR")
    return read_corpus(name, root, out)
