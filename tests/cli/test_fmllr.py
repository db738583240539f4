"""``asr-ligru fmllr`` on a corpus of tones: trained, resumed, aligned and applied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from asr_ligru import cli
from asr_ligru.data.manifest import read_manifest
from asr_ligru.hmm.system import System
from asr_ligru.safety.files import sha256_file
from tests.tiny_corpus import SAMPLE_RATE_HZ, write_corpus
from tests.tolerance import assert_close

REACH_S = 0.0425  # three spliced frames and half a window: a state may hear a tone so early
SIZES = ("lda_dim=6", "mono_gauss=60", "tri_gauss=60", "lda_gauss=60", "sat_gauss=60")


def train(corpus: Path, out: Path, *more: str) -> int:
    rate = str(SAMPLE_RATE_HZ)
    return cli.main(["fmllr", "train", str(corpus), str(out), "-q", "--sample-rate-hz", rate, "--set", *SIZES, *more])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a corpus and a model trained on it."""
    folder = tmp_path_factory.mktemp("fmllr")
    corpus = write_corpus(folder / "corpus")
    assert train(corpus, folder / "model") == 0
    return folder


def test_fmllr_train_again_changes_nothing_and_a_setting_only_what_follows(folder: Path) -> None:
    stages = ("mono", "tri", "lda_mllt", "sat")
    files = [folder / "model" / stage / "model.safetensors" for stage in stages]
    before = [(sha256_file(path), path.stat().st_mtime_ns) for path in files]
    assert train(folder / "corpus", folder / "model") == 0
    assert [(sha256_file(path), path.stat().st_mtime_ns) for path in files] == before
    assert train(folder / "corpus", folder / "model", "sat_gauss=70") == 0
    assert [path.stat().st_mtime_ns == old for path, (_, old) in zip(files, before, strict=True)] == [True] * 3 + [
        False
    ]


def test_fmllr_train_known_times_are_counted_and_those_of_others_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = tmp_path / "phones.ctm"
    times.write_text("train-0 1 0.1 0.25 a\n", encoding="utf-8")
    assert train(folder / "corpus", tmp_path / "model", "--times", str(times)) == 0
    assert "phones of 1 of " in capsys.readouterr().out
    times.write_text("another 1 0.1 0.25 a\n", encoding="utf-8")
    assert train(folder / "corpus", tmp_path / "model", "--times", str(times)) == 3
    assert "those of other utterances" in capsys.readouterr().err


def test_fmllr_align_times_are_those_of_the_tones(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, manifest = folder / "aligned", folder / "corpus" / "test.jsonl"
    assert cli.main(["fmllr", "align", str(folder / "model"), str(manifest), str(out), "-q"]) == 0
    assert "6 utterances aligned" in capsys.readouterr().out
    rows = [line.split() for line in (out / "words.ctm").read_text(encoding="utf-8").splitlines()]
    said = {u.utt_id: u.text.split() for u in read_manifest(manifest)}
    for utt_id, words in said.items():
        found = [row for row in rows if row[0] == utt_id]
        assert [row[4] for row in found] == words
        for place, row in enumerate(found):  # a tone of 0.25 s begins after each 0.1 s of noise
            assert abs(float(row[2]) - (0.1 + 0.35 * place)) < REACH_S
            assert abs(float(row[3]) - 0.25) < 2 * REACH_S
    assert len(list((out / "textgrid").iterdir())) == 6


def test_fmllr_align_words_and_utterances_that_do_not_fit_are_listed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.loads(line) for line in (folder / "corpus" / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["audio_filepath"] = str(folder / "corpus" / line["audio_filepath"])
    lines[0]["text"] = "ab zz zz"
    lines[1]["text"] = " ".join(["ab"] * 40)
    manifest = tmp_path / "odd.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert cli.main(["fmllr", "align", str(folder / "model"), str(manifest), str(tmp_path / "out"), "-q"]) == 1
    shown = capsys.readouterr()
    assert "1 word without pronunciation" in shown.out
    assert "2 x zz  in test-0" in shown.out
    assert "2 utterances left out" in shown.err
    bad = [json.loads(line) for line in (tmp_path / "out" / "bad_utterances.jsonl").read_text("utf-8").splitlines()]
    assert {record["id"]: record["stage"] for record in bad} == {"test-0": "text", "test-1": "align"}


def test_fmllr_apply_features_are_what_the_system_reads(folder: Path) -> None:
    kaldi_io = pytest.importorskip("asr_ligru.data.kaldi_io")
    out, manifest = folder / "applied", folder / "corpus" / "test.jsonl"
    assert cli.main(["fmllr", "apply", str(folder / "model"), str(manifest), str(out), "-q"]) == 0
    feats = dict(kaldi_io.read_feats(out / "feats.scp"))
    assert sorted(feats) == [f"test-{n}" for n in range(6)]
    transforms = kaldi_io.read_transforms(out / "trans.scp")
    assert {name: tuple(W.shape) for name, W in transforms.items()} == {
        "test-speaker0": (6, 7),
        "test-speaker1": (6, 7),
    }
    system = System.read(folder / "model")
    spoken = system.decode([feats[f"test-{n}"] for n in range(6)])
    texts = {u.utt_id: u.text for u in read_manifest(manifest)}
    assert [" ".join(s.words) if s else "" for s in spoken] == [texts[f"test-{n}"] for n in range(6)]


def in_parts(folder: Path, monkeypatch: pytest.MonkeyPatch, work: str, hours: float) -> Path:
    """Work on utterances whose speakers take turns, some hours at a time, and return what was written."""
    lines = (folder / "corpus" / "test.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    manifest, out = folder / "corpus" / "turns.jsonl", folder / f"{work}-{hours}"
    manifest.write_text("".join(lines[i] for i in (3, 0, 4, 1, 5, 2)), encoding="utf-8")
    monkeypatch.setattr("asr_ligru.hmm.manifests._HOURS_AT_ONCE", hours)
    assert cli.main(["fmllr", work, str(folder / "model"), str(manifest), str(out), "-q"]) == 0
    return out


def test_fmllr_align_a_speaker_at_a_time_writes_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together, apart = (in_parts(folder, monkeypatch, "align", hours) for hours in (2.0, 1e-9))
    files = [path.relative_to(together) for path in together.rglob("*") if path.is_file()]
    assert len(files) == 9
    assert all((together / file).read_bytes() == (apart / file).read_bytes() for file in files)


def test_fmllr_apply_a_speaker_at_a_time_writes_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kaldi_io = pytest.importorskip("asr_ligru.data.kaldi_io")
    together, apart = (in_parts(folder, monkeypatch, "apply", hours) for hours in (2.0, 1e-9))
    assert (together / "utt2spk").read_bytes() == (apart / "utt2spk").read_bytes()
    for name in ("feats", "trans"):  # speakers together are one batch of products, which round in another way
        expected, found = (dict(kaldi_io.read_table(out / f"{name}.scp")) for out in (together, apart))
        assert list(found) == list(expected) == sorted(expected)
        for key, array in expected.items():
            assert_close(torch.from_numpy(found[key]), torch.from_numpy(array), key)


def test_fmllr_apply_unreadable_manifest_leaves_no_archive(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("asr_ligru.data.kaldi_io")
    line = json.loads((folder / "corpus" / "test.jsonl").read_text(encoding="utf-8").splitlines()[0])
    line["audio_filepath"] = str(tmp_path / "gone.wav")
    manifest, out = tmp_path / "gone.jsonl", tmp_path / "out"
    manifest.write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert cli.main(["fmllr", "apply", str(folder / "model"), str(manifest), str(out), "-q"]) == 3
    assert "none of 1 utterances can be used" in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_fmllr_system_read_back_is_equal(folder: Path, tmp_path: Path) -> None:
    system = System.read(folder / "model")
    system.write(tmp_path / "copy")
    again = System.read(tmp_path / "copy")
    assert (again.features, again.config, again.unigram) == (system.features, system.config, system.unigram)
    for name, tensor in system.trained.model.tensors().items():
        assert torch.equal(tensor, again.trained.model.tensors()[name])


def test_fmllr_train_few_sounds_make_fewer_features_and_that_is_said_above_the_bar(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--sample-rate-hz", str(SAMPLE_RATE_HZ), "--set", *SIZES, "lda_dim=90"]
    assert cli.main(["fmllr", "train", str(folder / "corpus"), str(tmp_path / "model"), *more]) == 0
    projection = System.read(tmp_path / "model" / "model").trained.projection
    assert projection is not None
    assert len(projection) < 90
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    assert f"LDA to {len(projection)} features instead of 90: so few tied states occur" in lines


def test_fmllr_train_other_sample_rate_names_the_option(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["fmllr", "train", str(folder / "corpus"), str(tmp_path / "model"), "-q"]) == 3
    assert "--sample-rate-hz" in capsys.readouterr().err


def test_fmllr_wrong_setting_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(folder / "corpus", folder / "other", "sat_gaus=70") == 2
    assert "sat_gauss" in capsys.readouterr().err


def test_fmllr_altered_stage_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "model" / "model" / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-8] + bytes(8))
    try:
        manifest = folder / "corpus" / "test.jsonl"
        assert cli.main(["fmllr", "align", str(folder / "model"), str(manifest), str(folder / "x"), "-q"]) == 3
    finally:
        path.write_bytes(data)
    assert "altered" in capsys.readouterr().err
