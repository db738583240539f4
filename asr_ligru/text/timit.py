"""TIMIT's 61 phones folded to the 39 that error rates are published in."""

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

PHONES = tuple(sorted([*_FOLDED, *_ALONE.split()]))
_TABLE = {phone: folded for folded, phones in _FOLDED.items() for phone in phones.split()}
_TABLE |= {phone: phone for phone in PHONES} | {_DROPPED: ""}


def fold_phones(text: str) -> str:
    """Return TIMIT phones, of the set of 61, 48 or 39, as the set of 39.

    The glottal stop is left out; anything that is no phone stays as it is, and so counts as an error.

    Source: Lee and Hon, "Speaker-independent phone recognition using hidden Markov models", 1989, table I.
    """
    folded = (_TABLE.get(phone, phone) for phone in text.split())
    return " ".join(phone for phone in folded if phone)
