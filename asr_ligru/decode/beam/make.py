"""A beam decoder for a loaded model, from the files a user names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asr_ligru.decode.beam.scorer import Ngram
from asr_ligru.decode.beam.search import BeamDecoder
from asr_ligru.decode.beam.settings import BeamSettings
from asr_ligru.decode.result import Rescorer
from asr_ligru.errors import ConfigError
from asr_ligru.models.load import LoadedModel
from asr_ligru.safety import printable
from asr_ligru.text.arpa import read_arpa
from asr_ligru.text.normalize import normalize
from asr_ligru.text.sentences import speller
from asr_ligru.text.units import Tokenizer


def make_beam_decoder(
    model: LoadedModel,
    lm: Path | None = None,
    settings: BeamSettings | None = None,
    hot_words: Sequence[str] = (),
    rescorer: Rescorer | None = None,
) -> BeamDecoder:
    """Return a beam decoder.

    Args:
        model: a CTC model over characters, BPE or words.
        lm: an ARPA file; None for none.
        settings: the weights.
        hot_words: words to favour, in any spelling that the corpus's profile makes the model's own.
        rescorer: what adds to the scores of the readings found; None for nothing.

    Raises:
        ConfigError: the model cannot be searched so, or the language model or a hot word is not in its spelling.
        DataError: a file is damaged.
        EnvironmentError_: the extra ``lm`` is not installed.
    """
    check_searchable(model)
    ngram = load_ngram(lm, model.tokenizer) if lm else None
    hot = [normalize(word, model.config.corpus.normalize) for word in hot_words]
    for word in hot:
        if unknown := model.tokenizer.unknown_in(word):
            raise ConfigError(f"the model cannot spell the hot word '{printable(word)}': it has no {unknown[0]!r}")
    return BeamDecoder(model.tokenizer, settings or BeamSettings(), ngram, hot, model.temperature, rescorer)


def check_searchable(model: LoadedModel) -> None:
    """Raise a ConfigError if a model's outputs are no tokens that spell words."""
    if model.hmm is not None:
        raise ConfigError("beam search reads CTC models; this one is a hybrid", fix="--decoder wfst")


def load_ngram(arpa: Path, tokenizer: Tokenizer) -> Ngram:
    """Load a language model for a model's tokens.

    Raises:
        ConfigError: none of its words can be spelled with the tokens.
        DataError: the file is damaged.
        EnvironmentError_: the extra ``lm`` is not installed.
    """
    lm = read_arpa(arpa)
    if lm.units == "word" and all(tokenizer.unknown_in(word) for word in lm.vocabulary):
        some = ", ".join(sorted(lm.vocabulary)[:3])
        raise ConfigError(
            f"the model can spell none of the language model's words, such as {printable(some)}",
            where=printable(str(arpa)),
            fix="train it on texts in the model's spelling: asr-ligru lm train TEXT --profile upper, or lower-nopunct",
        )
    return Ngram(lm, speller(lm.units, tokenizer))
