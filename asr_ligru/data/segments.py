"""Utterances that are stretches of long recordings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from asr_ligru.data import audio
from asr_ligru.data.layout import Listing, is_training
from asr_ligru.errors import DataError
from asr_ligru.typing import Utterance

MAX_OVERSHOOT_S = 0.5  # a segment may end so much after its recording, and is cut there: Kaldi's extract-segments


@dataclass
class Recordings:
    """How long each recording is, and how many segments were cut at its end."""

    lengths_s: dict[Path, float] = field(default_factory=dict)
    faults: dict[Path, str] = field(default_factory=dict)
    overshoots: int = 0

    def place(self, path: Path, start_s: float, end_s: float) -> tuple[float, float, str]:
        """Find a segment in its recording, whose header is read once.

        Args:
            path: the recording.
            start_s: where the segment begins, seconds, >= 0.
            end_s: where it ends, seconds; -1 stands for the end of the recording.

        Returns:
            where it begins, how long it is (seconds; 0 when nobody can say), and what is wrong, or "".
        """
        self._measure(path)
        if path in self.faults:
            return start_s, max(0.0, end_s - start_s), self.faults[path]
        length_s = self.lengths_s[path]
        end_s = length_s if end_s == -1 else end_s
        if length_s < end_s <= length_s + MAX_OVERSHOOT_S and start_s < length_s:
            self.overshoots += end_s > length_s + audio.END_TOLERANCE_S
            end_s = length_s
        outside = not start_s < end_s <= length_s
        what = f"the segment from {start_s:g} to {end_s:g} s lies outside of its recording of {length_s:g} s"
        return start_s, max(0.0, end_s - start_s), what if outside else ""

    def add(self, listing: Listing, split: str, utterance: Utterance) -> None:
        """Put a segment into a split, its duration corrected; an unusable one is recorded, and kept for scoring only.

        Args:
            listing: gets the segment, or a record of what is wrong with it.
            split: a key of ``listing.splits``.
            utterance: the segment, as the corpus's own files place it.
        """
        path, start_s = utterance.audio_path, utterance.offset_s
        _, duration_s, problem = self.place(path, start_s, start_s + utterance.duration_s)
        if problem:
            listing.leave_out(utterance.utt_id, problem, path)
        if not problem or (not is_training(split) and duration_s > 0):
            rounded_s = round(duration_s, 6)
            cut = Utterance(utterance.utt_id, path, rounded_s, utterance.text, utterance.speaker, start_s)
            listing.splits[split].append(cut)

    def _measure(self, path: Path) -> None:
        if path not in self.lengths_s and path not in self.faults:
            try:
                self.lengths_s[path] = audio.probe(path).duration_s
            except DataError as error:
                self.faults[path] = error.what
