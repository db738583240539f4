"""Text profiles."""

from __future__ import annotations

import unicodedata

import pytest

from asr_ligru.errors import ConfigError, DataError
from asr_ligru.text.normalize import PROFILES, normalize

PAIRS = {
    "composed and decomposed": ("caf\u00e9", "cafe\u0301"),
    "two marks in either order": ("e\u0323\u0302", "e\u0302\u0323"),
    "compatible singleton": ("\u212b", "\u00c5"),
    "hangul syllable and letters": ("\ud55c\uad6d", "\u1112\u1161\u11ab\u1100\u116e\u11a8"),
    "no-break space": ("ten\u00a0four", "ten four"),
    "narrow no-break and ideographic space": ("ten\u202ffour\u3000five", "ten four five"),
    "byte-order mark": ("\ufeffyes no", "yes no"),
    "line ends": ("yes no\r\n", "yes no"),
    "runs of blanks and tabs": ("  yes \t  no ", "yes no"),
    "zero-width space and joiners": ("y\u200be\u200cs\u200d \u2060no", "yes no"),
    "direction marks around Hebrew": ("\u200f\u05db\u05df \u202b\u05dc\u05d0\u202c", "\u05db\u05df \u05dc\u05d0"),
    "soft hyphen": ("re\u00adcord", "record"),
}


@pytest.mark.parametrize(("left", "right"), PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_normalize_text_spelt_two_ways_is_equal(left: str, right: str, profile: str) -> None:
    assert left != right
    assert normalize(left, profile) == normalize(right, profile)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_normalize_twice_changes_nothing(profile: str) -> None:
    for text in [
        *(t for pair in PAIRS.values() for t in pair),
        "\u0130stanbul",
        "stra\u00dfe",
        "O'Neil's, 'tis",
        "\u01c5",
    ]:
        once = normalize(text, profile)
        assert normalize(once, profile) == once
        assert unicodedata.is_normalized("NFC", once)


@pytest.mark.parametrize(
    "text", ["O'Neil's", "don't?!", "A-B c", "$5", "\u05db\u05df", "\u0915\u094d\u0937", "stra\u00dfe"]
)
def test_normalize_none_keeps_case_punctuation_and_scripts(text: str) -> None:
    assert normalize(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("O'Neil\u2019s House.", "o'neil's house"),
        ("'Tis a well-known fact, isn't it?", "tis a well known fact isn't it"),
        ("\u00abOui\u00bb, dit-il\u2026", "oui dit il"),
        ("five,six", "five six"),
    ],
)
def test_normalize_lower_nopunct_keeps_only_inner_apostrophes(text: str, expected: str) -> None:
    assert normalize(text, "lower-nopunct") == expected


def test_normalize_upper_unknown_letters_too() -> None:
    assert normalize("stra\u00dfe \u00e9t\u00e9", "upper") == "STRASSE \u00c9T\u00c9"


def test_normalize_unknown_profile_names_nearest() -> None:
    with pytest.raises(ConfigError, match="lower-nopunc'") as caught:
        normalize("a", "lower-nopunc")
    assert "did you mean 'lower-nopunct'" in str(caught.value)


def test_normalize_lone_surrogate_is_refused_with_position() -> None:
    with pytest.raises(DataError, match=r"U\+D800 at character 3"):
        normalize("yes\ud800 no")
