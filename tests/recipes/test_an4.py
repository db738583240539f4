"""AN4 is read in every form it circulates in, and cut so that no speaker is in two splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_ligru import resources
from asr_ligru.data import audio
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.prepare import Preparation, prepare_corpus

RATE_HZ = 16000
FAKES = {
    "an4_clstk": {
        "an1-fash-b": "<s> YES </s>",
        "an2-fash-b": "<s> GO  NOW </s>",
        "an3-mblb-b": "STOP",
        "cen1-fejs-b": "<s> A B </s>",
    },
    "an4test_clstk": {"an4-fcaw-b": "RUBOUT G"},
}


def _write(path: Path, samples: np.ndarray) -> None:
    """Write 16-bit samples in the form that the suffix of ``path`` names."""
    order = {".raw_le": "<i2", ".raw_be": ">i2"}.get(path.suffix)
    if order:
        path.with_suffix(".raw").write_bytes(samples.astype(order).tobytes())
    elif path.suffix == ".sph":
        soundfile.write(path, samples, RATE_HZ, format="NIST", subtype="PCM_16")
    else:
        soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")


def _fake(root: Path, suffix: str) -> dict[str, np.ndarray]:
    """Write five utterances in AN4's layout and return their samples."""
    (root / "etc").mkdir(parents=True)
    t = np.arange(RATE_HZ // 2)
    samples = {}
    for folder, texts in FAKES.items():
        for number, utt_id in enumerate(texts, start=len(samples)):
            (root / "wav" / folder / utt_id.split("-")[1]).mkdir(parents=True, exist_ok=True)
            samples[utt_id] = (9000 * np.sin(t * 0.05 * (number + 1))).astype(np.int16)
            _write(root / "wav" / folder / utt_id.split("-")[1] / f"{utt_id}{suffix}", samples[utt_id])
        part = "train" if folder == "an4_clstk" else "test"
        lines = "".join(f"{text} ({utt_id})\n" for utt_id, text in texts.items())
        (root / "etc" / f"an4_{part}.transcription").write_text(lines + "\n", encoding="utf-8")
    (root / "etc" / "an4.dic").write_text("A   AH\nA(2)   EY\nSTOP  S T AA P\n", encoding="utf-8")
    return samples


@pytest.mark.parametrize("suffix", [".sph", ".wav", ".flac", ".raw_le", ".raw_be"])
def test_prepare_every_layout_gives_the_same_corpus(tmp_path: Path, suffix: str) -> None:
    samples = _fake(tmp_path / "an4", suffix)
    report = prepare_corpus("an4", tmp_path, tmp_path / "out")
    assert report.left_out == []
    assert {split: count.utterances for split, count in report.counts.items()} == {"train": 3, "dev": 1, "test": 1}
    utterances = {u.utt_id: u for path in report.manifests.values() for u in read_manifest(path)}
    assert {u.utt_id: u.text for u in utterances.values()} == {
        "an1-fash-b": "YES",
        "an2-fash-b": "GO NOW",
        "an3-mblb-b": "STOP",
        "cen1-fejs-b": "A B",
        "an4-fcaw-b": "RUBOUT G",
    }
    for utt_id, expected in samples.items():
        wav = audio.read(utterances[utt_id].audio_path, sample_rate_hz=RATE_HZ)
        assert np.array_equal((wav.numpy() * 32768).astype(np.int16), expected)
        assert (utterances[utt_id].duration_s, utterances[utt_id].speaker) == (0.5, utt_id.split("-")[1])
    assert (tmp_path / "out" / "lexicon.txt").read_text(encoding="utf-8") == "A AH\nA EY\nSTOP S T AA P\n"


def test_prepare_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    _fake(tmp_path, ".sph")
    folder = tmp_path / "wav" / "an4_clstk" / "fash"
    (folder / "an1-fash-b.sph").unlink()
    (folder / "an9-fash-b.sph").write_bytes((folder / "an2-fash-b.sph").read_bytes())
    (folder / "an2-fash-b.sph").write_bytes((folder / "an2-fash-b.sph").read_bytes()[:2000])
    with (tmp_path / "etc" / "an4_train.transcription").open("a", encoding="utf-8") as file:
        file.write("NO ID HERE\nUP (../../up)\n")
    report = prepare_corpus("an4", tmp_path, tmp_path / "out")
    reasons = [(bad.utt_id, bad.reason.partition(":")[0]) for bad in report.left_out]
    assert reasons == [
        ("", "line 6"),
        ("", "line 7"),
        ("an9-fash-b", "no transcript names it"),
        ("an1-fash-b", "cannot open audio file"),
        ("an2-fash-b", "truncated"),
    ]
    assert report.counts["train"].utterances == 1


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Preparation:
    return prepare_corpus("an4", shared / "corpora" / "an4", tmp_path_factory.mktemp("an4"))


def test_prepare_real_counts_are_those_of_the_corpus(real: Preparation) -> None:
    counts = real.counts
    assert counts["train"].utterances + counts["dev"].utterances == 948
    assert counts["test"].utterances == 130
    assert counts["train"].speakers + counts["dev"].speakers == 74
    assert (counts["dev"].speakers, counts["test"].speakers) == (10, 10)
    assert counts["train"].hours + counts["dev"].hours == pytest.approx(0.7073, abs=1e-4)
    assert real.left_out == []
    assert real.lexicon_entries == 130


def test_prepare_real_splits_share_no_speaker_and_keep_every_id(real: Preparation, shared: Path) -> None:
    splits = {name: read_manifest(path) for name, path in real.manifests.items()}
    speakers = {name: {u.speaker for u in utterances} for name, utterances in splits.items()}
    assert not speakers["train"] & speakers["dev"]
    assert not (speakers["train"] | speakers["dev"]) & speakers["test"]
    listed = set()
    for part in ("train", "test"):
        lines = (shared / "corpora" / "an4" / "etc" / f"an4_{part}.fileids").read_text(encoding="utf-8").split()
        listed |= {line.rpartition("/")[2] for line in lines}
    assert {u.utt_id for utterances in splits.values() for u in utterances} == listed


def test_prepare_real_dev_speakers_are_as_their_comment_says(real: Preparation) -> None:
    train, dev = (read_manifest(real.manifests[name]) for name in ("train", "dev"))
    assert {u.speaker for u in dev} == resources.recipe_module("an4").DEV_SPEAKERS
    assert sorted(speaker[0] for speaker in {u.speaker for u in dev}) == ["f"] * 3 + ["m"] * 7
    assert {sum(u.speaker == speaker for u in dev) for speaker in {u.speaker for u in dev}} == {13}
    assert {w for u in dev for w in u.text.split()} <= {w for u in train for w in u.text.split()}


def test_prepare_real_lexicon_has_every_word(real: Preparation) -> None:
    entries = (real.out / "lexicon.txt").read_text(encoding="utf-8").splitlines()
    words = {word for path in real.manifests.values() for u in read_manifest(path) for word in u.text.split()}
    assert words <= {entry.split()[0] for entry in entries}
    assert not any("(" in entry for entry in entries)


def test_prepare_real_mini_an4_with_its_quirks(shared: Path, tmp_path: Path) -> None:
    report = prepare_corpus("an4", shared / "corpora" / "mini_an4", tmp_path)
    assert {split: count.utterances for split, count in report.counts.items()} == {"train": 3, "dev": 2, "test": 2}
    assert [(bad.utt_id, bad.reason) for bad in report.left_out] == [("cen7-fash-b", "no transcript names it")]


def test_prepare_real_sphere_and_flac_hold_the_same_samples(real: Preparation, shared: Path, tmp_path: Path) -> None:
    mini = prepare_corpus("an4", shared / "corpora" / "mini_an4", tmp_path)
    whole = {u.utt_id: u for path in real.manifests.values() for u in read_manifest(path)}
    for utterance in (u for path in mini.manifests.values() for u in read_manifest(path)):
        other = whole[utterance.utt_id]
        assert utterance.audio_path.suffix == ".sph"
        assert other.audio_path.suffix == ".flac"
        assert audio.read(utterance.audio_path).equal(audio.read(other.audio_path))
        assert (utterance.text, utterance.speaker) == (other.text, other.speaker)
