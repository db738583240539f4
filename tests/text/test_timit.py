"""TIMIT's phones, folded."""

from __future__ import annotations

import pytest

from asr_ligru.text.normalize import normalize
from asr_ligru.text.timit import PHONES, PHONES_48, PHONES_61, fold_phones, merge_phones

# The beginning of SA1 as the corpus has it, then the rest of the table; folded by hand.
SENTENCES = {
    "h# sh iy hv ae dcl d y er dcl d aa r kcl k s uw dx ih n h#": "sil sh iy hh ae sil d y er sil d aa r sil k s uw dx "
    "ih n sil",
    "h# ih f q pau el eng zh ao ax-h ux em axr epi": "sil ih f sil l ng sh aa ah uw m er sil",
    "nx en ix bcl b gcl g pcl p tcl t": "n n ih sil b sil g sil p sil t",
}


@pytest.mark.parametrize(("spoken", "scored"), SENTENCES.items())
def test_fold_phones_sentence_is_as_published(spoken: str, scored: str) -> None:
    assert normalize(spoken, "timit39") == scored


def test_fold_phones_has_thirty_nine_that_stay() -> None:
    assert len(PHONES) == 39
    assert fold_phones(" ".join(PHONES)) == " ".join(PHONES)


def test_fold_phones_of_the_forty_eight_fold_alike() -> None:
    assert fold_phones("cl vcl epi sil el en ax ix ao zh") == "sil sil sil sil l n ah ih aa sh"


def test_fold_phones_unknown_symbol_stays() -> None:
    assert fold_phones("aa xx q") == "aa xx"


def test_merge_phones_and_fold_phones_are_as_lhotse_has_them() -> None:
    published = pytest.importorskip("lhotse.recipes.timit").get_phonemes
    assert set(published(48)) - {"sil"} == set(PHONES_61)
    for phone in PHONES_61:
        assert merge_phones(phone) == published(48)[phone]
        assert fold_phones(merge_phones(phone)) == fold_phones(phone) == published(39)[phone]
    assert (len(PHONES_61), len(PHONES_48)) == (61, 48)
