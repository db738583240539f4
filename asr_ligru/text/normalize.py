"""Named text profiles: what counts as the same text, on both sides of training and of scoring.

A profile's name goes into every output that depends on it, so two error rates are only compared when they
were counted on equally treated text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from asr_ligru.errors import DataError
from asr_ligru.registry import Registry
from asr_ligru.safety import composed
from asr_ligru.text.timit import fold_phones

PROFILES: Registry[Callable[[str], str]] = Registry("normalisation profile")
PHONE_PROFILES = frozenset({"timit39"})  # under which a text is phones, so that its error rate is called PER

_SURROGATE = re.compile("[\ud800-\udfff]")
_APOSTROPHES = str.maketrans("\u2019\u02bc\uff07`\u00b4", "'" * 5)
_INNER_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")


def normalize(text: str, profile: str = "none") -> str:
    """Return ``text`` as ``profile`` spells it; idempotent.

    Args:
        text: one transcript, any Unicode.
        profile: "none" composes characters (NFC), drops invisible format characters (byte-order mark, zero-width
            space and joiners, direction marks, soft hyphen) and makes one space of each run of white space,
            the no-break space and line ends included; "lower-nopunct" is that in lower case with a space for
            all punctuation but an apostrophe inside a word; "upper" is "none" in upper case; "timit39" is for
            TIMIT's phones, folded to the 39 that are scored.

    Raises:
        ConfigError: there is no such profile; the message names the nearest.
        DataError: ``text`` holds a lone surrogate, which no file can hold as UTF-8.
    """
    spell = PROFILES[profile]
    if not text.isascii() and (found := _SURROGATE.search(text)):
        raise DataError(
            f"lone surrogate U+{ord(found[0]):04X} at character {found.start()} of a text",
            fix="repair the character where the text was written",
        )
    return spell(text)


@PROFILES.register("none")
def _none(text: str) -> str:
    if not text.isascii():
        text = composed("".join(c for c in text if unicodedata.category(c) != "Cf"))
    return " ".join(text.split())


@PROFILES.register("lower-nopunct")
def _lower_nopunct(text: str) -> str:
    text = _none(text).lower().translate(_APOSTROPHES)
    inner = {found.start() for found in _INNER_APOSTROPHE.finditer(text)}
    spaced = (" " if unicodedata.category(c)[0] == "P" and i not in inner else c for i, c in enumerate(text))
    return _none("".join(spaced))


@PROFILES.register("upper")
def _upper(text: str) -> str:
    return _none(_none(text).upper())


@PROFILES.register("timit39")
def _timit39(text: str) -> str:
    return fold_phones(_none(text))
