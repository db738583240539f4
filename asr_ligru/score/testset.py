"""What is known of a run's test set beside its texts: speakers, noise and audio files, from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from asr_ligru.data.manifest import read_manifest
from asr_ligru.score.runs import Run
from asr_ligru.typing import Utterance


def read_test_set(run: Run) -> dict[str, Utterance]:
    """Return the utterances of the split a run was scored on, by id; none where its manifest is not to be found.

    A relative folder of the corpus is looked for beside each folder above the run's, then here.

    Raises:
        DataError: the manifest is malformed.
    """
    corpus = run.config.get("corpus")
    known = corpus if isinstance(corpus, Mapping) else {}
    folder, name = known.get("dir"), known.get(run.facts.split or "test")
    if not isinstance(folder, str) or not isinstance(name, str) or "\0" in folder + name:
        return {}
    places = (above / folder / f"{name}.jsonl" for above in (*run.folder.resolve().parents, Path()))
    path = next((place for place in places if place.is_file()), None)
    return {} if path is None else {utterance.utt_id: utterance for utterance in read_manifest(path)}
