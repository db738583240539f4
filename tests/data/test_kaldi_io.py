"""Kaldi's own archives are read as Kaldi reads them, ours as kaldiio does, and damaged ones are refused by name."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch

from asr_ligru.data import kaldi_io
from asr_ligru.errors import AsrLigruError, DataError, EnvironmentError_
from asr_ligru.features.cmvn import CmvnStats

UTTERANCES = ("7_jackson_32", "3_nicolas_11", "9_theo_20")
GENUINE = ("ark_float_binary", "ark_compressed", "ark_compressed_m2", "ark_compressed_m3", "ark_text")


@pytest.fixture(scope="module")
def oracle(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "oracles" / "fmllr" / "feats.npz") as file:
        return {
            key: file[key] for key in file.files if key.startswith(("archives/", "8k/mfcc_default", "8k/post/cmvn"))
        }


def matrix(rows: int, columns: int, values: bytes = b"", kind: bytes = b"FM") -> bytes:
    return b"\0B" + kind + b" \4" + struct.pack("<i", rows) + b"\4" + struct.pack("<i", columns) + values


@pytest.mark.parametrize("name", GENUINE)
def test_read_feats_archive_of_kaldi_equals_what_kaldi_reads(
    oracle: dict[str, np.ndarray], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "feats.ark"
    path.write_bytes(oracle[f"archives/{name}"].tobytes())
    found = dict(kaldi_io.read_feats(path))
    assert tuple(found) == UTTERANCES
    for key, feats in found.items():
        expected = oracle.get(f"archives/{name}_decoded/{key}", oracle[f"8k/mfcc_default/{key}"])
        tolerance = 1e-6 * np.abs(expected).max() if name != "ark_text" else 1e-5  # text has seven digits
        assert feats.dtype == torch.float32
        np.testing.assert_allclose(feats.numpy(), expected, rtol=1e-6, atol=tolerance)


def test_read_feats_script_into_kaldis_archive_equals_the_archive(
    oracle: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = oracle["archives/ark_compressed"].tobytes()
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "raw.ark").write_bytes(raw)
    positions = {key: raw.index(key.encode() + b" ") + len(key) + 1 for key in UTTERANCES}
    lines = [f"{key} exp/raw.ark:{at}" for key, at in positions.items()]
    script = tmp_path / "data" / "train" / "feats.scp"
    script.parent.mkdir(parents=True)
    script.write_text("\n".join([*lines, f"part exp/raw.ark:{positions[UTTERANCES[0]]}[3:9,2:4]"]) + "\n", "utf-8")
    whole = dict(kaldi_io.read_feats(f"ark:{tmp_path / 'exp' / 'raw.ark'}"))
    monkeypatch.chdir(tmp_path)  # as Kaldi has it; then from elsewhere
    for folder in (tmp_path, tmp_path / "exp"):
        monkeypatch.chdir(folder)
        found = dict(kaldi_io.read_feats(script))
        assert torch.equal(found.pop("part"), whole[UTTERANCES[0]][3:10, 2:5])
        assert all(torch.equal(feats, whole[key]) for key, feats in found.items())


def test_read_cmvn_of_kaldis_statistics_normalises_as_kaldi_does(
    oracle: dict[str, np.ndarray], tmp_path: Path, shared: Path
) -> None:
    stats = {key: oracle[f"8k/post/cmvn_stats_spk/{key}"] for key in ("spkA", "spkB")}
    kaldiio.save_ark(str(tmp_path / "cmvn.ark"), stats, scp=str(tmp_path / "cmvn.scp"))
    found = kaldi_io.read_cmvn(tmp_path / "cmvn.scp")
    assert {key: table.numpy().tolist() for key, table in found.items()} == {k: v.tolist() for k, v in stats.items()}
    feats = torch.from_numpy(oracle["8k/mfcc_default/9_theo_20"])
    normalised = CmvnStats(found["spkB"]).normalize(feats)
    np.testing.assert_allclose(normalised.numpy(), oracle["8k/post/cmvn_spk_meanvar/9_theo_20"], atol=1e-5)


def test_read_transforms_and_alignments_of_other_writers_are_exact(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    transforms = {f"s{i}": draw.standard_normal((4, 5)).astype(np.float32) for i in range(3)}
    paths = {f"u{i}": draw.integers(0, 2**31 - 1, 50 * i + 1, dtype=np.int32) for i in range(3)}
    kaldiio.save_ark(str(tmp_path / "trans.1"), transforms)
    kaldiio.save_ark(str(tmp_path / "ali.1"), paths)
    (tmp_path / "ali.1.gz").write_bytes(gzip.compress((tmp_path / "ali.1").read_bytes()))
    (tmp_path / "ali.txt").write_text("a 1 2 2\nb \nc -7\n", encoding="utf-8")
    found = kaldi_io.read_transforms(tmp_path / "trans.1")
    assert all(np.array_equal(found[key].numpy(), W) for key, W in transforms.items())
    for name in ("ali.1", "ali.1.gz"):
        assert {k: v.tolist() for k, v in kaldi_io.read_alignments(tmp_path / name)} == {
            k: v.tolist() for k, v in paths.items()
        }
    assert {k: v.tolist() for k, v in kaldi_io.read_table(tmp_path / "ali.txt")} == {"a": [1, 2, 2], "b": [], "c": [-7]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_write_table_is_read_equal_by_kaldiio_and_by_us(tmp_path: Path, dtype: torch.dtype) -> None:
    arrays = {f"ü{i}": torch.randn(3 + i, 5, dtype=dtype) for i in range(4)}
    arrays |= {"v": torch.randn(7, dtype=dtype), "i": torch.tensor([3, -1, 2**31 - 1]), "t": torch.randn(4, 3).t()}
    assert kaldi_io.write_table(tmp_path / "x.ark", arrays.items(), scp=tmp_path / "x.scp") == 7
    for found in (kaldiio.load_scp(str(tmp_path / "x.scp")), dict(kaldiio.load_ark(str(tmp_path / "x.ark")))):
        assert {key: value.tolist() for key, value in found.items()} == {k: v.tolist() for k, v in arrays.items()}
    for source in ("x.ark", "x.scp"):
        found = dict(kaldi_io.read_table(tmp_path / source))
        assert {key: value.tolist() for key, value in found.items()} == {k: v.tolist() for k, v in arrays.items()}


@pytest.mark.parametrize("rows", [1, 4, 5, 8, 9, 200])
def test_write_table_compressed_is_near_and_a_quarter(tmp_path: Path, rows: int) -> None:
    feats = torch.linspace(-20, 30, rows * 40).view(rows, 40)
    kaldi_io.write_table(tmp_path / "x.ark", [("a", feats)], compress=True)
    [(_, found)] = kaldi_io.read_feats(tmp_path / "x.ark")
    assert float((found - feats).abs().max()) < 50 / 128
    assert np.array_equal(found.numpy(), kaldiio.load_mat(f"{tmp_path / 'x.ark'}:2"))
    assert (tmp_path / "x.ark").stat().st_size < (0.3 if rows > 100 else 0.6) * 4 * feats.numel() + 400


BAD = {
    "truncated": (b"u1 " + matrix(9, 4, bytes(100)), "truncated: 144 bytes expected, 100 are there"),
    "huge": (b"u1 " + matrix(2**31 - 1, 2**31 - 1), "declares 2147483647 x 2147483647"),
    "negative": (b"u1 " + matrix(-2, 4), "declares -2 x 4"),
    "both negative": (b"u1 " + matrix(-2, -2, bytes(16)), "declares -2 x -2"),
    "not a number": (b"u1 " + matrix(1, 1, struct.pack("<f", float("nan"))), "not finite"),
    "infinite text": (b"u1  [\n 1 inf ]\n", "not finite"),
    "big endian": (b"u1 \0BFM \4" + struct.pack(">i", 3) + b"\4" + struct.pack(">i", 2) + bytes(24), "declares"),
    "integers of 8 bytes": (b"u1 \0B\4" + struct.pack("<i", 1) + b"\x08" + bytes(8), "other than four"),
    "huge integers": (b"u1 \0B\4" + struct.pack("<i", 2**31 - 1), "declares"),
    "pickle": (b"u1 PKL" + b"cos\nsystem\n", "expected integers or a matrix"),
    "numpy": (b"u1 NPY\x01\x10" + bytes(16), "expected integers or a matrix"),
    "audio": (b"u1 RIFF" + bytes(40), "expected integers or a matrix"),
    "sparse matrix": (b"u1 \0BSM \4" + bytes(20), "object of type"),
    "ragged": (b"u1  [\n 1 2\n 3 ]\n", "rows of different lengths"),
    "underscore": (b"u1  [ 1_0 ]\n", "not a number"),
    "no end": (b"u1  [\n 1 2\n", "no closing bracket"),
    "words": (b"u1  [ one ]\n", "could not convert"),
    "beyond 32 bits": (b"u1 1 9999999999\n", ""),
    "no object": (b"u1 ", "ends before the object"),
    "no key": (b"\0\1\2 " + matrix(1, 1, bytes(4)), "after byte"),
    "key not UTF-8": (b"\xff\xfe " + matrix(1, 1, bytes(4)), "after byte"),
    "endless key": (b"u1" * 9999, "no key within"),
    "twice": (2 * (b"u1 " + matrix(1, 1, bytes(4))), "'u1' comes twice"),
    "compressed, negative": (b"u1 \0BCM " + struct.pack("<ffii", 0, 1, -5, 4) + bytes(99), "declares -5 x 4"),
    "compressed, truncated": (b"u1 \0BCM " + struct.pack("<ffii", 0, 1, 50, 4) + bytes(99), "truncated"),
    "compressed, infinite": (b"u1 \0BCM2 " + struct.pack("<ffii", 0, float("inf"), 2, 2) + bytes(8), "not finite"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", BAD)
def test_read_table_malformed_names_file_and_key(tmp_path: Path, name: str, packed: bool) -> None:
    content, reason = BAD[name]
    path = tmp_path / "x.ark"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError) as caught:
        list(kaldi_io.read_table(path))
    message = str(caught.value)
    assert reason in message
    assert str(path) in message
    assert "u1" in message or "after byte" in message or "no key" in message


def test_read_table_of_a_bomb_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "x.ark"
    for content in (bytes(16 << 20), b" " * (16 << 20), b"u1  [\n" + b"\n" * (16 << 20), b"u1  [" + b" " * (16 << 20)):
        path.write_bytes(gzip.compress(content, compresslevel=1))
        with pytest.raises(DataError):
            list(kaldi_io.read_table(path))
    path.write_bytes(gzip.compress(b"u1 " + matrix(1000, 10, bytes(40000)))[:-9])
    with pytest.raises(DataError, match="end-of-stream"):
        list(kaldi_io.read_table(path))


@pytest.mark.parametrize("entry", ["cat {} |", "gunzip -c {} |", "| cat {}", "{}|", "touch canary; cat {} |"])
def test_read_table_command_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.chdir(tmp_path)
    kaldi_io.write_table(tmp_path / "x.ark", [("a", torch.ones(2, 2))])
    command = entry.format("x.ark")
    (tmp_path / "x.scp").write_text(f"fine x.ark:2\nu1 {command}\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        list(kaldi_io.read_table(tmp_path / "x.scp"))
    assert "line 2, key u1" in caught.value.where
    assert "never run" in caught.value.fix
    for source in (command, f"ark:{command}", f"scp,p:{command}"):
        with pytest.raises(DataError, match="a command instead of a file"):
            list(kaldi_io.read_table(source))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.ark", "x.scp"]


SCRIPTS = {
    "missing": ("u1 nowhere.ark:2", "no such file"),
    "folder": ("u1 .", "not a regular file"),
    "pipe": ("u1 fifo", "not a regular file"),
    "device": ("u1 /dev/zero", "not a regular file"),
    "NUL": ("u1 a\0b", "expected `key file`"),
    "long": ("u1 " + "a" * 5000, "cannot read|no such file"),
    "no file": ("u1", "expected `key file`"),
    "behind the end": ("u1 x.ark:99999", "behind the end"),
    "elsewhere": ("u1 x.ark:3", "expected|integers"),
    "bad range": ("u1 x.ark:2[5]", "expected a range"),
    "range outside": ("u1 x.ark:2[9:12]", "lies outside"),
    "columns outside": ("u1 x.ark:2[0:1,0:2]", "lies outside"),
    "twice": ("u1 x.ark:2\nu1 x.ark:2", "comes twice"),
    "not UTF-8": ("u1 \udcff", "expected UTF-8"),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_read_script_malformed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    kaldi_io.write_table(tmp_path / "x.ark", [("a", torch.ones(2, 2))])
    os.mkfifo(tmp_path / "fifo")
    text, reason = SCRIPTS[name]
    (tmp_path / "x.scp").write_bytes(text.encode("utf-8", "surrogateescape") + b"\n")
    with pytest.raises(DataError, match=reason) as caught:
        list(kaldi_io.read_table(tmp_path / "x.scp"))
    assert "x.scp" in caught.value.where


@pytest.mark.parametrize(
    ("key", "tensor"),
    [
        ("", torch.ones(1, 1)),
        ("a b", torch.ones(1, 1)),
        ("a\n", torch.ones(1, 1)),
        ("a", torch.tensor([[float("nan")]])),
        ("a", torch.tensor([2**31])),
        ("a", torch.ones(2, 2, 2)),
        ("a", torch.ones(2, 2, dtype=torch.int64)),
        ("a", torch.ones(0, 3)),
        ("a", torch.ones(2, dtype=torch.bool)),
    ],
)
def test_write_table_unfit_entry_is_refused_and_leaves_nothing(tmp_path: Path, key: str, tensor: torch.Tensor) -> None:
    with pytest.raises(DataError):
        kaldi_io.write_table(tmp_path / "x.ark", [("first", torch.ones(1, 1)), (key, tensor)], scp=tmp_path / "x.scp")
    assert list(tmp_path.iterdir()) == []


def test_write_table_key_twice_or_name_with_a_pipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="comes twice"):
        kaldi_io.write_table(tmp_path / "x.ark", [("a", torch.ones(1, 1))] * 2)
    for name in ("x|y.ark", "x:3", "x[1:2]", "x "):
        with pytest.raises(DataError, match="cannot name"):
            kaldi_io.write_table(tmp_path / name, [], scp=tmp_path / "x.scp")
    with pytest.raises(EnvironmentError_, match="cannot write"):
        kaldi_io.write_table(tmp_path / "absent" / "x.ark", [])


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (kaldi_io.read_transforms, torch.ones(3, 3)),
        (kaldi_io.read_transforms, torch.ones(3)),
        (kaldi_io.read_cmvn, torch.ones(3, 3)),
        (kaldi_io.read_cmvn, torch.zeros(2, 3)),
        (kaldi_io.read_feats, torch.ones(3)),
        (kaldi_io.read_alignments, torch.ones(3)),
    ],
)
def test_read_table_of_another_kind_names_shape_and_key(tmp_path: Path, read: object, value: torch.Tensor) -> None:
    assert callable(read)
    kaldi_io.write_table(tmp_path / "x.ark", [("u1", value)])
    with pytest.raises(DataError, match="got shape") as caught:
        list(read(tmp_path / "x.ark"))
    assert "key u1" in caught.value.where


def test_read_table_without_kaldiio_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "kaldiio", None)
    (tmp_path / "x.ark").write_bytes(b"u1 " + matrix(1, 1, bytes(4)))
    with pytest.raises(AsrLigruError) as caught:
        list(kaldi_io.read_table(tmp_path / "x.ark"))
    assert caught.value.exit_code == 4
    assert "asr-ligru[kaldi]" in caught.value.fix
