"""Guards between untrusted bytes and the terminal, spreadsheets and the disk.

Everything printed goes through ``printable``, every text cell of a CSV file through ``csv_cell``, JSON that quotes
texts through ``json_text``, every small file through ``atomic_write``, every JSON file that is read back through
``read_json``, every archive through ``safe_extract``.
"""

from asr_ligru.safety.archive import Limits, safe_extract
from asr_ligru.safety.files import atomic_write, read_json, sha256_file
from asr_ligru.safety.text import composed, csv_cell, csv_text, json_text, printable, printable_lines

__all__ = [
    "Limits",
    "atomic_write",
    "composed",
    "csv_cell",
    "csv_text",
    "json_text",
    "printable",
    "printable_lines",
    "read_json",
    "safe_extract",
    "sha256_file",
]
