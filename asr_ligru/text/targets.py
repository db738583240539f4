"""What target ids must fulfil before a CTC loss may see them.

``torch.nn.functional.ctc_loss`` reports neither an id out of range (a wrong loss or a crash) nor, before the gradient
is NaN, a target too long for its frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from asr_ligru.errors import DataError
from asr_ligru.safety import printable


def min_ctc_frames(ids: Sequence[int]) -> int:
    """Return the fewest output frames that can spell ``ids``: one each, and a blank between two equal neighbours."""
    return len(ids) + sum(a == b for a, b in pairwise(ids))


def ctc_feasible(num_frames: int, ids: Sequence[int]) -> bool:
    """Return whether CTC can align ``ids`` (none of them the blank) with ``num_frames`` output frames.

    Source: Graves et al. 2006, section 3.1: a path needs T' >= U + repeats.
    """
    return num_frames >= min_ctc_frames(ids)


def check_targets(utt_id: str, ids: Sequence[int], vocab_size: int) -> None:
    """Raise unless every id is in [1, vocab_size).

    Args:
        utt_id: the utterance, for the message.
        ids: its target ids.
        vocab_size: the number of outputs, the blank (0) included.

    Raises:
        DataError: names the utterance, the first wrong id and its position.
    """
    for position, token in enumerate(ids):
        if not 0 < token < vocab_size:
            kind = "the blank" if token == 0 else "out of range"
            raise DataError(
                f"{printable(utt_id)}: target id {token} at position {position} is {kind}, "
                f"expected 1 to {vocab_size - 1}",
                fix="tokenise the transcripts again with the tokenizer this model was built with",
            )


def check_states(utt_id: str, states: Sequence[int], num_frames: int, num_states: int) -> None:
    """Raise unless there is a state in [0, num_states) for every frame.

    Args:
        utt_id: the utterance, for the message.
        states: of its frames.
        num_frames: of its features.
        num_states: the number of outputs.

    Raises:
        DataError: names the utterance, and the first wrong state with its frame.
    """
    fix = "delete the folder fmllr of the corpus, or name another model in train.align_with"
    if len(states) != num_frames:
        what = f"{printable(utt_id)}: {len(states)} targets for {num_frames} frames"
        raise DataError(what, where="the alignment of the utterance", fix=fix)
    for frame, state in enumerate(states):
        if not 0 <= state < num_states:
            what = f"{printable(utt_id)}: target {state} at frame {frame}, expected 0 to {num_states - 1}"
            raise DataError(what, where="the alignment of the utterance", fix=fix)


def check_vocab(tokenizer_size: int, num_outputs: int) -> None:
    """Raise unless a tokenizer and a model's output layer have the same number of tokens.

    Raises:
        DataError: they differ.
    """
    if tokenizer_size != num_outputs:
        raise DataError(
            f"the tokenizer has {tokenizer_size} tokens with the blank, the model has {num_outputs} outputs",
            fix="use the tokenizer saved beside the model, or train again",
        )
