"""What is exported for Kaldi is read by kaldiio, sorted as Kaldi sorts, and comes back the same."""

from __future__ import annotations

from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch

from asr_ligru import cli
from asr_ligru.compose import compose
from asr_ligru.data import audio
from asr_ligru.data.kaldi_folder import read_folder
from asr_ligru.data.kaldi_io import read_cmvn, read_feats
from asr_ligru.data.manifest import read_manifest, write_manifest
from asr_ligru.data.source import FeatureSource
from asr_ligru.errors import DataError
from asr_ligru.features.cmvn import CmvnStats
from asr_ligru.integrations.kaldi import export_feats, export_folder
from asr_ligru.typing import Utterance
from tests.tiny_corpus import write_corpus

CONFIG = compose(["features=mfcc_8k"])


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    return read_manifest(write_corpus(tmp_path_factory.mktemp("corpus"), num_train=6) / "train.jsonl")


def _keys(path: Path) -> list[bytes]:
    return [line.split()[0] for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("wav", [False, True])
def test_export_folder_whole_files_come_back_the_same(utterances: list[Utterance], tmp_path: Path, wav: bool) -> None:
    ticks: list[None] = []
    export = export_folder(utterances, tmp_path / "train", wav=wav, tick=lambda: ticks.append(None))
    assert len(ticks) == 6
    assert not (tmp_path / "train" / "segments").exists()
    back = read_folder(tmp_path / "train").utterances
    by_old_id = {f"{u.speaker}-{u.utt_id}": u for u in utterances}
    assert {u.utt_id: (u.text, u.speaker) for u in back} == {k: (u.text, u.speaker) for k, u in by_old_id.items()}
    for utterance in back:
        assert audio.read(utterance.audio_path).equal(audio.read(by_old_id[utterance.utt_id].audio_path))
        assert (tmp_path in utterance.audio_path.parents) == wav
    assert export.notes[0].startswith("ids have their speaker in front")


def test_export_folder_is_in_the_order_that_kaldi_validates(utterances: list[Utterance], tmp_path: Path) -> None:
    export_folder(utterances, tmp_path / "train")
    for name in ("wav.scp", "text", "utt2spk", "spk2utt"):
        keys = _keys(tmp_path / "train" / name)
        assert keys == sorted(keys)
    pairs = [line.split() for line in (tmp_path / "train" / "utt2spk").read_bytes().splitlines()]
    assert pairs == sorted(pairs, key=lambda pair: (pair[1], pair[0]))  # utils/validate_data_dir.sh, first check
    grouped = [line.split() for line in (tmp_path / "train" / "spk2utt").read_bytes().splitlines()]
    assert sorted((utt, speaker) for speaker, *utts in grouped for utt in utts) == sorted(map(tuple, pairs))


def test_export_folder_parts_of_files_are_read_by_kaldiio(utterances: list[Utterance], tmp_path: Path) -> None:
    path = utterances[0].audio_path
    parts = [
        Utterance("s-b", path, 0.2, "x  y\tz", "s", 0.1),
        Utterance("s-a", path, 0.15, "", "s"),
        Utterance("t", utterances[1].audio_path, 0.125, "w", "", 0.05),
        Utterance("s-lost", path / "absent", 1.0, "v", "s"),
        Utterance("s-lies", path, 99.0, "v", "s"),
    ]
    export = export_folder(parts, tmp_path / "out" / "dev")
    folder = tmp_path / "out" / "dev"
    assert [u.utt_id for u in export.utterances] == ["s-a", "s-b", "t"]
    assert {bad.utt_id for bad in export.left_out} == {"s-lost", "s-lies"}
    assert "2 left out" in export.render()
    assert (folder / "text").read_text(encoding="utf-8") == "s-a\ns-b x y z\nt w\n"
    found = kaldiio.load_scp(str(folder / "wav.scp"), segments=str(folder / "segments"))
    for part in parts[:3]:
        wav = audio.read(part.audio_path, offset_s=part.offset_s, duration_s=part.duration_s).numpy() * 32768
        assert np.array_equal(found[part.utt_id][1], wav.astype(np.int16))
    back = {u.utt_id: u for u in read_folder(folder).utterances}
    assert {k: (u.offset_s, round(u.duration_s, 6)) for k, u in back.items()} == {
        "s-a": (0.0, 0.15), "s-b": (0.1, 0.2), "t": (0.05, 0.125),
    }  # fmt: skip


@pytest.mark.parametrize("compress", [False, True])
def test_export_feats_are_ours_in_archives_that_kaldiio_reads(
    utterances: list[Utterance], tmp_path: Path, compress: bool
) -> None:
    short = Utterance("train-s", utterances[0].audio_path, 0.001, "x", utterances[0].speaker)
    export = export_folder([*utterances, short], tmp_path / "train")
    export_feats(export, CONFIG.features, CONFIG.corpus, compress=compress)
    folder = tmp_path / "train"
    assert [bad.utt_id.endswith("train-s") for bad in export.left_out] == [True]
    assert {len(_keys(folder / name)) for name in ("feats.scp", "text", "utt2spk", "segments")} == {6}
    assert _keys(folder / "feats.scp") == _keys(folder / "text")
    source, other = FeatureSource(CONFIG.features, CONFIG.corpus), kaldiio.load_scp(str(folder / "feats.scp"))
    ours = dict(read_feats(folder / "feats.scp"))
    totals: dict[str, CmvnStats] = {}
    for utterance in export.utterances:
        raw = source.raw(utterance)
        tolerance = float(raw.max() - raw.min()) / 100 if compress else 0.0
        assert float((ours[utterance.utt_id] - raw).abs().max()) <= tolerance
        assert np.array_equal(other[utterance.utt_id], ours[utterance.utt_id].numpy())
        stats, speaker = CmvnStats.of(raw), utterance.speaker
        totals[speaker] = totals[speaker] + stats if speaker in totals else stats
    cmvn = read_cmvn(folder / "cmvn.scp")
    assert {speaker: torch.equal(cmvn[speaker], stats.table) for speaker, stats in totals.items()} == dict.fromkeys(
        cmvn, True
    )


@pytest.mark.parametrize("change", [{"utt_id": "a b"}, {"utt_id": ""}, {"speaker": "a\u2028b"}, {"utt_id": "a\x1b[2J"}])
def test_export_folder_id_that_kaldi_cannot_hold_is_refused(
    utterances: list[Utterance], tmp_path: Path, change: dict[str, str]
) -> None:
    given = {"utt_id": "u", "speaker": "s"} | change
    bad = Utterance(given["utt_id"], utterances[0].audio_path, 0.1, "x", given["speaker"])
    with pytest.raises(DataError, match="expected a key without blanks") as caught:
        export_folder([bad], tmp_path / "out")
    assert "\x1b" not in str(caught.value)


def test_export_folder_in_use_or_without_audio_is_refused(utterances: list[Utterance], tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "text").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="not empty"):
        export_folder(utterances, tmp_path / "used")
    assert (tmp_path / "used" / "text").read_text(encoding="utf-8") == "mine"
    lost = Utterance("u", tmp_path / "lost.wav", 1.0, "x", "s")
    with pytest.raises(DataError, match="no usable utterance, 1 left out"):
        export_folder([lost], tmp_path / "out")


def test_export_kaldi_command_line_goes_there_and_back(
    utterances: list[Utterance], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_manifest(tmp_path / "train.jsonl", utterances)
    out = tmp_path / "data" / "train"
    assert cli.main(["export-kaldi", str(tmp_path / "train.jsonl"), str(out), "--features", "mfcc_8k", "--wav"]) == 0
    assert "6 utterances" in capsys.readouterr().out
    assert cli.main(["prepare", "kaldi", "--root", str(tmp_path / "data"), "--out", str(tmp_path / "back")]) == 0
    assert "train                             6" in capsys.readouterr().out
    assert cli.main(["export-kaldi", str(tmp_path / "train.jsonl"), str(out)]) == 3
    assert cli.main(["export-kaldi", str(tmp_path / "train.jsonl"), str(out), "--features", "mfc_8k"]) == 2
    assert "mfcc_8k" in capsys.readouterr().err
