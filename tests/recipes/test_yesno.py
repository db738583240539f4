"""yesno: the words are the file name, in English and in Hebrew, and the last half is the test set."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from asr_ligru.data import audio
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.prepare import Preparation, prepare_corpus
from recipes.yesno.pauses import find_boundaries
from recipes.yesno.prepare import prepare


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Preparation:
    return prepare_corpus("yesno", shared / "corpora" / "yesno", tmp_path_factory.mktemp("yesno"))


def test_prepare_real_counts(real: Preparation) -> None:
    counts = {split: count.utterances for split, count in real.counts.items()}
    variant = {"train": 8 * 25, "dev": 8 * 5, "test": 30}
    assert counts == variant | {f"hebrew/{split}": count for split, count in variant.items()}
    whole = [u for split in variant for u in read_manifest(real.manifests[split]) if "-" not in u.utt_id]
    assert sum(u.duration_s for u in whole) / 3600 == pytest.approx(0.102, abs=5e-4)
    assert real.left_out == []


def test_prepare_real_test_set_is_the_last_thirty_by_name(real: Preparation, shared: Path) -> None:
    names = sorted(path.stem for path in (shared / "corpora" / "yesno" / "waves_yesno").glob("*.wav"))
    assert [u.utt_id for u in read_manifest(real.manifests["test"])] == names[30:]
    others = [u.utt_id for split in ("train", "dev") for u in read_manifest(real.manifests[split])]
    assert sorted(others[::8]) == names[:30]


def test_prepare_real_shortened_files_lack_their_first_words(real: Preparation) -> None:
    utterances = read_manifest(real.manifests["train"])
    for number, shortened in enumerate(utterances):
        whole, words_cut = utterances[number - number % 8], number % 8
        assert shortened.text.split() == whole.text.split()[words_cut:]
        assert 0.4 * words_cut <= whole.duration_s - shortened.duration_s <= 0.9 * words_cut
        start = [audio.read(u.audio_path, duration_s=0.2) for u in (whole, shortened)]
        assert torch.equal(*start)  # the silence before the first word
    assert {u.text[0] for u in utterances[::8]} == {"N"}
    assert {u.text[0] for u in utterances[1::8]} == {"N", "Y"}


def test_find_boundaries_of_bursts_are_in_the_silences() -> None:
    rate, words = 8000, [(0.5, 0.85), (1.1, 1.5), (1.6, 2.0), (2.2, 2.5)]
    noise = torch.randn(3 * rate, generator=torch.Generator().manual_seed(0))
    time_s = torch.arange(3 * rate) / rate
    spoken = torch.stack([(time_s >= start) & (time_s < end) for start, end in words]).any(0)
    found = find_boundaries(noise * torch.where(spoken, 0.1, 0.001), rate, 4)
    silences = zip([0.0, *(end for _, end in words)], [*(start for start, _ in words), 3.0], strict=True)
    for boundary, (begin, end) in zip(found, silences, strict=True):
        assert begin - 0.02 <= boundary <= end + 0.02


@pytest.mark.parametrize(("seconds", "words"), [(0.3, 2), (3.0, 1), (3.0, 8)])
def test_find_boundaries_without_room_raises(seconds: float, words: int) -> None:
    with pytest.raises(ValueError, match="no room"):
        find_boundaries(torch.zeros(int(seconds * 8000)), 8000, words)


def test_prepare_file_too_short_for_its_words_is_not_shortened(tmp_path: Path) -> None:
    for name in ("0_1", "1_0"):
        audio.write(tmp_path / f"{name}.wav", torch.full((800,), 0.1), 8000)
    assert [u.utt_id for u in prepare(tmp_path, tmp_path).splits["train"]] == ["0_1"]


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
