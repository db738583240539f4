"""What is decoded, and what its results are called: folders, manifests, odd and hostile names."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePath

import pytest

from asr_ligru.decode.inputs import Input, find_inputs, read_speaker_map, with_speakers
from asr_ligru.decode.outputs import OutputFolder, output_names, utt_ids
from asr_ligru.decode.transcript import Transcript
from asr_ligru.decode.writers import Style
from asr_ligru.errors import ConfigError, DataError

ODD = ("-x.wav", "a\nb.wav", ".hidden.wav", "שלום\u202e.wav", "x y.WAV", os.fsdecode(b"\xff\xfe.wav"))


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(arguments: list[Path | str], **settings: bool) -> list[str]:
    return [one.name for one in find_inputs([str(argument) for argument in arguments], **settings)]


def test_find_inputs_takes_the_audio_of_folders_in_order_and_each_file_once(tmp_path: Path) -> None:
    inside = [tmp_path / "d" / name for name in ("Q.wav", "a.flac", "b.M4A", "c/y.opus")]
    touch(*inside, tmp_path / "z.xyz", tmp_path / "d" / "notes.txt", tmp_path / "d" / "r.raw")
    got = names([tmp_path / "z.xyz", tmp_path / "d", tmp_path / "d" / "a.flac", "-", "-"])
    assert got == [str(tmp_path / "z.xyz"), *map(str, inside), "-"]
    assert str(tmp_path / "d" / "r.raw") in names([tmp_path / "d"], with_raw=True)


def test_find_inputs_follows_no_link_to_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "d" / "a.wav")
    (tmp_path / "d" / "loop").symlink_to(tmp_path / "d")
    assert names([tmp_path / "d"]) == [str(tmp_path / "d" / "a.wav")]


def test_find_inputs_folder_without_audio_is_a_problem_not_nothing(tmp_path: Path) -> None:
    touch(tmp_path / "notes.txt")
    (one,) = find_inputs([str(tmp_path)])
    assert "no audio file" in one.problem
    assert ".flac" in one.problem


def test_find_inputs_empty_name_is_a_problem_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "a.wav")
    monkeypatch.chdir(tmp_path)
    (one,) = find_inputs([""])
    assert "empty name" in one.problem
    assert names(["."]) == ["a.wav"]


def test_find_inputs_odd_names_stay_as_they_are(tmp_path: Path) -> None:
    touch(*(tmp_path / "in" / name for name in ODD))
    inputs = find_inputs([str(tmp_path / "in")])
    assert {Path(one.name).name for one in inputs} == set(ODD)
    folder = OutputFolder(tmp_path / "out", ("txt",))
    for one, name in zip(inputs, output_names(inputs), strict=True):
        folder.write(name, Transcript(one.name, 1.0), Style("x"))
    written = [path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {str(path) for path in written} == {f"{Path(name).stem}.txt" for name in ODD}


def test_find_inputs_of_a_manifest_are_its_utterances(tmp_path: Path) -> None:
    hostile = ("../../x", "/etc/passwd", "a/b", "..", "CON", "א\u202e", "x" * 300, "a\n", "%2F")
    records = [
        {"id": utt_id, "audio_filepath": "all.wav", "offset": 2.0 * n, "duration": 1.5, "text": "", "speaker": f"s{n}"}
        for n, utt_id in enumerate(hostile)
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    inputs = find_inputs([str(path)])
    assert [(i.name, i.speaker, i.offset_s, i.duration_s) for i in inputs] == [
        (utt_id, f"s{n}", 2.0 * n, 1.5) for n, utt_id in enumerate(hostile)
    ]
    assert utt_ids(inputs) == list(hostile)
    folder = OutputFolder(tmp_path / "out", ("txt", "json"))
    for one, name in zip(inputs, output_names(inputs), strict=True):
        folder.write(name, Transcript(one.name, 1.0), Style("x"))
    assert {path.name for path in tmp_path.iterdir()} == {"m.jsonl", "out"}
    files = list((tmp_path / "out").iterdir())
    assert all(path.is_file() for path in files)
    assert {json.loads(p.read_bytes())["id"] for p in files if p.suffix == ".json"} == set(hostile)
    path.write_text("{}\n", encoding="utf-8")
    with pytest.raises(DataError, match="missing key 'id'"):
        find_inputs([str(path)])


def test_output_names_never_collide_and_do_not_depend_on_the_order() -> None:
    paths = ["a/x.wav", "b/x.wav", "b/x.flac", "c/X.WAV", "y.wav", "d/x.wav", "d/e\u0301.wav", "d/\u00e9.wav"]
    inputs = find_inputs(paths)
    got = dict(zip(paths, output_names(inputs), strict=True))
    assert got["y.wav"] == PurePath("y")
    assert got["b/x.flac"] == PurePath("x.flac")
    assert len({str(name).casefold() for name in got.values()}) == len(paths)
    again = dict(zip(paths[::-1], output_names(inputs[::-1]), strict=True))
    assert again == got
    ids = utt_ids(inputs)
    assert len(set(ids)) == len(ids)
    assert ids[4] == "y"


def test_output_names_keep_the_folders_below_an_argument(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("p/x.wav", "q/x.wav")))
    inputs = find_inputs([str(tmp_path)])
    assert output_names(inputs) == [PurePath("p/x"), PurePath("q/x")]
    assert utt_ids(inputs) == ["p/x", "q/x"]


def test_output_folder_knows_what_is_there_and_refuses_a_file(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "out", ("txt", "srt"))
    assert not folder.has(PurePath("a/x"))
    folder.write(PurePath("a/x"), Transcript("x", 1.0), Style("x"))
    assert folder.has(PurePath("a/x"))
    (tmp_path / "out" / "a" / "x.srt").unlink()
    assert not folder.has(PurePath("a/x"))
    with pytest.raises(ConfigError, match="names a file"):
        OutputFolder(tmp_path / "out" / "a" / "x.txt", ("txt",))


def test_speaker_map_names_files_by_path_name_or_stem(tmp_path: Path) -> None:
    path = tmp_path / "map"
    path.write_text("d/a.wav ann\nmy b.wav  bob\nc\tcy\n", encoding="utf-8")
    speakers = read_speaker_map(path)
    assert speakers == {"d/a.wav": "ann", "my b.wav": "bob", "c": "cy"}
    mapped, hits = with_speakers(find_inputs(["d/a.wav", "e/my b.wav", "c.flac", "x.wav"]), speakers)
    assert [one.speaker for one in mapped] == ["ann", "bob", "cy", ""]
    assert hits == 3
    stdin = Input("-", None, PurePath("stdin"))
    assert with_speakers([stdin], {"-": "ann"})[0][0].speaker == "ann"


@pytest.mark.parametrize(("content", "reason"), [("a\n", "line 1"), ("a x\na y\n", "line 2"), ("", "no line")])
def test_speaker_map_mistakes_name_their_line(content: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "map").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=reason):
        read_speaker_map(tmp_path / "map")
