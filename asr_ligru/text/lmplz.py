"""N-gram models estimated by KenLM's ``lmplz`` where it is installed: for texts whose counts do not fit into memory.

The one module that starts another program: always this one, with arguments that nothing from a file goes into.

Source: Heafield et al. 2013, Scalable Modified Kneser-Ney Language Model Estimation.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from asr_ligru.errors import DataError, EnvironmentError_
from asr_ligru.safety import printable
from asr_ligru.safety.files import TEMP_PREFIX, atomic_file, write_errors
from asr_ligru.text.arpa import header
from asr_ligru.text.kneser_ney import checked

_MEMORY = "50%"  # of the machine's, for sorting; lmplz's own default is 80 %
_BYTES_A_BYTE = 4  # of text, about, for its copy, lmplz's own files and the model, to say what a full disk lacks


def find_lmplz() -> str | None:
    """Return the path of ``lmplz``, None where it is not installed."""
    found = shutil.which("lmplz")
    return found and str(Path(found).absolute())


def write_lmplz(
    path: Path, sentences: Iterable[Sequence[str]], order: int, units: str, *, program: str, text_bytes: int
) -> None:
    """Estimate a model with ``lmplz`` and write it as ARPA, entirely or not at all.

    Args:
        path: the file; its folder must exist, and holds the temporary files.
        sentences: the words of each line.
        order: longest n-gram, 1 to 6.
        units: what the words are, noted in the file.
        program: the path of ``lmplz``.
        text_bytes: how large the text is, about.

    Raises:
        ConfigError: an order out of range.
        DataError: no words, or a reserved one among them.
        EnvironmentError_: ``lmplz`` failed, or the disk is full.
    """
    folder = path.parent
    with (
        write_errors(folder, _BYTES_A_BYTE * text_bytes),
        tempfile.TemporaryDirectory(prefix=TEMP_PREFIX, dir=folder) as scratch,
        tempfile.TemporaryFile(dir=scratch) as text,
        atomic_file(path) as stream,
    ):
        text.writelines(f"{' '.join(sentence)}\n".encode() for sentence in checked(sentences, order))
        if not text.tell():
            raise DataError("no words to estimate a language model from")
        text.seek(0)
        stream.write(f"{header(units)}\n".encode())
        stream.flush()
        command = [program, "-o", str(order), "-S", _MEMORY, "-T", f"{scratch}/", "--discount_fallback"]
        done = subprocess.run(command, stdin=text, stdout=stream, stderr=subprocess.PIPE, check=False)  # noqa: S603
        if done.returncode:
            said = printable(done.stderr.decode("utf-8", "replace").strip()[-300:])
            what = f"lmplz ended with {done.returncode}: {said}"
            raise EnvironmentError_(what, where=printable(program), fix="--estimator own")
