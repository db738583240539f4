"""Read any corpus that is laid out as Kaldi's ``data/`` folder."""

from __future__ import annotations

import re
from pathlib import Path

from asr_ligru.data.kaldi_folder import read_folder
from asr_ligru.data.layout import Listing, find_folder, is_training
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.safety import printable
from asr_ligru.text.lexicon import Lexicon

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_LEXICONS = ("local/dict/lexicon.txt", "lexicon.txt")


def prepare(root: Path | None, out: Path) -> Listing:
    """List the utterances of each folder below ``root`` that has a ``wav.scp``.

    Args:
        root: Kaldi's ``data`` folder, or one up to two folders above it; also the folder of a single split.
        out: not used; the files stay where they are.

    Returns:
        a split for each folder, with the folder's name, and the lexicon if ``local/dict`` has one.

    Raises:
        ConfigError: no ``root``.
        DataError: no such folder, or one of its files is not as Kaldi has it.
    """
    del out
    if root is None:
        raise ConfigError("where is the data folder?", fix="asr-ligru prepare kaldi --root DIR")
    data = find_folder(root, "wav.scp", "*/wav.scp")
    folders = [data] if (data / "wav.scp").exists() else sorted(path.parent for path in data.glob("*/wav.scp"))
    listing = Listing({})
    for folder in folders:
        name = folder.resolve().name if folder == data else folder.name
        if not _NAME.fullmatch(name):
            what = f"the folder's name {printable(name)!r} cannot be that of a split"
            raise DataError(what, where=printable(str(folder)), fix="letters, digits, _, - and . only; rename it")
        split = read_folder(folder, keep_unreadable=not is_training(name))
        listing.splits[name] = split.utterances
        listing.left_out += split.left_out
        listing.notes += [f"{name}: {note}" for note in split.notes]
    lexicon = next((data / name for name in _LEXICONS if (data / name).is_file()), None)
    listing.lexicon = Lexicon.read(lexicon).text().splitlines() if lexicon else []
    return listing
