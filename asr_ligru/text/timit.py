"""TIMIT's 61 phones folded to the 48 that models are trained on and the 39 that error rates are published in."""

from __future__ import annotations

# What each of the 39 stands for beside itself; the 48 that models are often trained on are among them.
_FOLDED = {
    "aa": "ao",
    "ah": "ax ax-h",
    "er": "axr",
    "hh": "hv",
    "ih": "ix",
    "l": "el",
    "m": "em",
    "n": "en nx",
    "ng": "eng",
    "sh": "zh",
    "sil": "pcl tcl kcl bcl dcl gcl cl vcl h# pau epi",
    "uw": "ux",
}
_ALONE = "ae aw ay b ch d dh dx eh ey f g iy jh k ow oy p r s t th uh v w y z"
_DROPPED = "q"  # the glottal stop
# What is another phone already among the 48; the others are the same in both.
_OF_48 = {
    "ax": "ax-h",
    "cl": "pcl tcl kcl",
    "er": "axr",
    "hh": "hv",
    "m": "em",
    "n": "nx",
    "ng": "eng",
    "sil": "h# pau",
    "uw": "ux",
    "vcl": "bcl dcl gcl",
}

PHONES = tuple(sorted([*_FOLDED, *_ALONE.split()]))
_TABLE = {phone: folded for folded, phones in _FOLDED.items() for phone in phones.split()}
_TABLE |= {phone: phone for phone in PHONES} | {_DROPPED: ""}
_TABLE_48 = {phone: folded for folded, phones in _OF_48.items() for phone in phones.split()} | {_DROPPED: ""}
PHONES_48 = tuple(sorted({_TABLE_48.get(phone, phone) for phone in _TABLE} - {""}))
PHONES_61 = tuple(sorted(_TABLE.keys() - {"sil", "cl", "vcl"}))


def merge_phones(text: str) -> str:
    """Return TIMIT's 61 phones as the 48 that models are trained on, the glottal stop left out.

    Source: Lee and Hon 1989, table I.
    """
    merged = (_TABLE_48.get(phone, phone) for phone in text.split())
    return " ".join(phone for phone in merged if phone)


def fold_phones(text: str) -> str:
    """Return TIMIT phones, of the set of 61, 48 or 39, as the set of 39.

    The glottal stop is left out; anything that is no phone stays as it is, and so counts as an error.

    Source: Lee and Hon, "Speaker-independent phone recognition using hidden Markov models", 1989, table I.
    """
    folded = (_TABLE.get(phone, phone) for phone in text.split())
    return " ".join(phone for phone in folded if phone)
