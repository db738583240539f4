"""What validating a corpus found, and how that is shown."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from asr_ligru.safety import printable

WIDTH = 80
MAX_EXAMPLES = 5
_MAX_CHARACTERS = 120

ERRORS = {
    "manifest": "lines of a manifest that cannot be used",
    "missing": "audio files that are not there",
    "unreadable": "audio that cannot be decoded",
    "truncated": "audio files that are cut off",
    "rate": "audio of another sample rate",
    "channels": "audio with several channels",
    "duration": "utterances that end after their file",
    "same id": "ids that are in two splits",
    "same speaker": "speakers in two splits that promise none",
    "same audio": "recordings that are in two splits",
}
WARNINGS = {
    "too long": "utterances longer than corpus.max_seconds",
    "too short": "utterances shorter than one 25 ms window",
    "too many letters": "transcripts of more letters than 10 ms frames",
    "silent": "audio without a signal",
    "clipped": "audio with at least 0.1 % of samples at full scale",
    "unused": "files of which an utterance leaves audio at the end unused",
    "repeated": "recordings that are twice in a split",
    "no text": "empty transcripts",
    "spacing": "transcripts with other than single spaces between words",
    "characters": "transcripts with control or invisible characters, or not NFC",
}


@dataclass
class SplitSummary:
    """Size of a split, of its usable manifest lines."""

    utterances: int = 0
    seconds: float = 0.0
    speakers: set[str] = field(default_factory=set)
    shortest_s: float = float("inf")
    longest_s: float = 0.0

    def add(self, duration_s: float, speaker: str) -> None:
        """Count one utterance."""
        self.utterances += 1
        self.seconds += duration_s
        self.speakers.add(speaker)
        self.shortest_s = min(self.shortest_s, duration_s)
        self.longest_s = max(self.longest_s, duration_s)


@dataclass
class Report:
    """Everything ``validate_corpus`` found.

    Attributes:
        folder: the corpus folder.
        splits: size by split.
        counts: number of findings by kind, a key of ``ERRORS`` or ``WARNINGS``.
        examples: the first findings of each kind, each with split and line.
        characters: how often each character is in the transcripts.
        character_ids: the first ids in which it is, at most three.
    """

    folder: Path
    splits: dict[str, SplitSummary] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    characters: Counter[str] = field(default_factory=Counter)
    character_ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, where: str, detail: str) -> None:
        """Count a finding and keep it if it is among the first of its kind."""
        self.counts[kind] += 1
        if len(self.examples[kind]) < MAX_EXAMPLES:
            self.examples[kind].append(f"{where}: {detail}")

    def add_text(self, text: str, utt_id: str) -> None:
        """Count the characters of a transcript."""
        self.characters.update(text)
        for character in set(text):
            if len(self.character_ids[character]) < 3:
                self.character_ids[character].append(utt_id)

    @property
    def num_errors(self) -> int:
        """Findings that training or decoding would fail or be wrong with."""
        return sum(self.counts[kind] for kind in ERRORS)

    @property
    def num_warnings(self) -> int:
        """Findings that may be meant."""
        return sum(self.counts[kind] for kind in WARNINGS)

    @property
    def has_errors(self) -> bool:
        """Whether a run on this corpus would fail or be wrong."""
        return self.num_errors > 0

    def render(self) -> str:
        """Return the report as text of at most 80 columns, safe to print."""
        lines = [*self._sizes(), *self._findings(), *self._characters()]
        return "\n".join(_cut(line) for line in lines)

    def _sizes(self) -> list[str]:
        lines = [f"{'split':<20} {'utterances':>10} {'hours':>8} {'speakers':>9} {'shortest':>9} {'longest':>9}"]
        for name, split in self.splits.items():
            shortest = f"{split.shortest_s:.2f} s" if split.utterances else "-"
            lines.append(
                f"{name:<20} {split.utterances:>10} {split.seconds / 3600:>8.3f} {len(split.speakers):>9} "
                f"{shortest:>9} {split.longest_s:>7.2f} s"
            )
        return lines

    def _findings(self) -> list[str]:
        lines = ["", f"{self.num_errors} errors, {self.num_warnings} warnings"]
        for label, kinds in (("error", ERRORS), ("warning", WARNINGS)):
            for kind, words in kinds.items():
                if self.counts[kind]:
                    lines.append(f"{label:<8}{self.counts[kind]:>7}  {words}")
                    lines += [f"        {example}" for example in self.examples[kind]]
                    more = self.counts[kind] - len(self.examples[kind])
                    lines += [f"        and {more} more"] if more else []
        return lines

    def _characters(self) -> list[str]:
        lines = ["", f"{len(self.characters)} characters {'count':>24}  first in"]
        for character, count in sorted(self.characters.items(), key=lambda item: (-item[1], item[0]))[:_MAX_CHARACTERS]:
            name = unicodedata.name(character, "").lower()[:22]
            ids = ", ".join(self.character_ids[character])
            shown = character if character.isprintable() and not unicodedata.combining(character) else " "
            lines.append(f"{shown} U+{ord(character):04X} {name:<22} {count:>7}  {ids}")
        if len(self.characters) > _MAX_CHARACTERS:
            lines.append(f"and {len(self.characters) - _MAX_CHARACTERS} rarer ones")
        return lines


def _cut(line: str) -> str:
    safe = printable(line)
    return safe if len(safe) <= WIDTH else safe[: WIDTH - 3] + "..."
