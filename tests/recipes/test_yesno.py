"""yesno: the words are the file name, in English and in Hebrew, and the last half is the test set."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.prepare import Preparation, prepare_corpus


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Preparation:
    return prepare_corpus("yesno", shared / "corpora" / "yesno", tmp_path_factory.mktemp("yesno"))


def test_prepare_real_counts(real: Preparation) -> None:
    counts = {split: count.utterances for split, count in real.counts.items()}
    variant = {"train": 25, "dev": 5, "test": 30}
    assert counts == variant | {f"hebrew/{split}": count for split, count in variant.items()}
    assert sum(real.counts[split].hours for split in variant) == pytest.approx(0.102, abs=5e-4)
    assert real.left_out == []


def test_prepare_real_test_set_is_the_last_thirty_by_name(real: Preparation, shared: Path) -> None:
    names = sorted(path.stem for path in (shared / "corpora" / "yesno" / "waves_yesno").glob("*.wav"))
    assert [u.utt_id for u in read_manifest(real.manifests["test"])] == names[30:]
    others = [u.utt_id for split in ("train", "dev") for u in read_manifest(real.manifests[split])]
    assert sorted(others) == names[:30]


def test_prepare_real_hebrew_says_the_same_in_other_letters(real: Preparation) -> None:
    table = {"YES": "כן", "NO": "לא"}
    for split in ("train", "dev", "test"):
        latin = read_manifest(real.manifests[split])
        hebrew = read_manifest(real.manifests[f"hebrew/{split}"])
        assert [u.audio_path for u in latin] == [u.audio_path for u in hebrew]
        assert [" ".join(table[w] for w in u.text.split()) for u in latin] == [u.text for u in hebrew]


def test_prepare_real_text_is_what_the_name_says(real: Preparation) -> None:
    texts = {u.utt_id: u.text for u in read_manifest(real.manifests["test"])}
    assert texts["1_0_0_0_0_0_0_1"] == "YES NO NO NO NO NO NO YES"
