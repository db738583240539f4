"""A trained GMM-HMM with all that new recordings need: features, words, language model, adaptation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from asr_ligru import ranks
from asr_ligru.config import FeaturesConfig, HmmConfig, as_dict, build
from asr_ligru.errors import DataError
from asr_ligru.features.fmllr_basis import FmllrBasis
from asr_ligru.hmm.adapt import Adapted, Label, adapt_speakers
from asr_ligru.hmm.align import Aligner
from asr_ligru.hmm.alignment import Alignment, join
from asr_ligru.hmm.decode_words import SearchOptions, Spoken, Unigram, WordLoop
from asr_ligru.hmm.gmm_set import GmmSet
from asr_ligru.hmm.material import Material
from asr_ligru.hmm.model import AcousticModel
from asr_ligru.hmm.speakers import Speakers
from asr_ligru.hmm.stages import Trained, limits, project
from asr_ligru.hmm.store import load_model, model_tensors
from asr_ligru.hmm.vocabulary import Vocabulary
from asr_ligru.models.tensors import pack, unpack
from asr_ligru.safety import printable
from asr_ligru.safety.sealed import open_sealed, seal_folder
from asr_ligru.text.lexicon import Lexicon

FORMAT = 1
_SEAL = "fmllr.json"
_MODEL = "model.safetensors"
_LEXICON = "lexicon.txt"


@dataclass(frozen=True, eq=False)
class System:
    """What ``asr-ligru fmllr train`` makes.

    Attributes:
        features: of the cepstra that go in.
        config: sizes of the models, and what decoding weighs.
        vocabulary: words and phones.
        unigram: of the words of the training texts.
        trained: the last stage; its alignments are not kept.
    """

    features: FeaturesConfig
    config: HmmConfig
    vocabulary: Vocabulary
    unigram: Unigram
    trained: Trained = field(repr=False)

    @cached_property
    def partner(self) -> GmmSet:
        """The mixtures for unadapted features."""
        if self.trained.partner is None:
            raise DataError("the model was not trained to the last stage", fix="asr-ligru fmllr train")
        return self.trained.partner

    @cached_property
    def loop(self) -> WordLoop:
        """The decoder of words."""
        options = SearchOptions(self.config.acoustic_scale, self.config.word_score)
        return WordLoop(self.vocabulary.entries, self.unigram, options, self.vocabulary.topology.pauses)

    def project(self, base: Sequence[Tensor]) -> list[Tensor]:
        """Return unadapted features (T, D) of normalised cepstra (T, F)."""
        return project(base, self.trained.projection, self.config.lda_context)

    def recognised(self, model: AcousticModel, feats: Sequence[Tensor]) -> list[Alignment | None]:
        """Align utterances with the words that are recognised in them."""
        return [None if spoken is None else spoken.alignment for spoken in self.loop.decode(model, feats)]

    def known(self, material: Material) -> Label:
        """Return what aligns the utterances with the words they are known to hold; each process of a run a share."""
        own = ranks.share(range(len(material.base)))
        lens = [len(material.base[i]) for i in own]
        aligner = Aligner([material.transcripts[i] for i in own], self.trained.model.tree, lens)

        def align(model: AcousticModel, feats: Sequence[Tensor]) -> list[Alignment | None]:
            found = dict(zip(own, aligner.align(model, [feats[i] for i in own]), strict=True))
            return join([found.get(i) for i in range(len(feats))], own)

        return align

    def adapt(self, feats: Sequence[Tensor], speakers: Speakers, label: Label) -> Adapted:
        """Estimate transforms of the speakers in two passes.

        Args:
            feats: (T, D) unadapted, of each utterance.
            speakers: of the utterances.
            label: ``recognised``, or what ``known`` returned.
        """
        basis = None if self.trained.basis is None else FmllrBasis(self.trained.basis)
        model, partner = self.trained.model, self.partner
        return adapt_speakers(model, partner, feats, speakers, label, limits=limits(self.config), basis=basis)

    def decode(self, feats: Sequence[Tensor]) -> list[Spoken | None]:
        """Return the words of utterances of adapted features (T, D)."""
        return self.loop.decode(self.trained.model, feats)

    def head(self) -> dict[str, Any]:
        """Return the JSON values that ``of`` makes an equal system from, with ``tensors`` and the lexicon."""
        return {
            "features": as_dict(self.features),
            "hmm": as_dict(self.config),
            "words": self.unigram.log_probs,
            "end": self.unigram.end,
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors of the model, without the training speakers' transforms."""
        return model_tensors(replace(self.trained, transforms=None))

    @classmethod
    def of(cls, head: Mapping[str, Any], lexicon: Lexicon, tensors: Mapping[str, Tensor]) -> System:
        """Return the system that these parts were taken from.

        Raises:
            DataError: they do not fit together.
        """
        config = build(HmmConfig, head["hmm"])
        vocabulary = Vocabulary.of(lexicon, config)
        trained = load_model(tensors, vocabulary.topology, [], 0.0)
        unigram = Unigram(dict(head["words"]), float(head["end"]))
        return cls(build(FeaturesConfig, head["features"]), config, vocabulary, unigram, trained)

    def write(self, folder: Path) -> None:
        """Write everything into a folder, replacing an older one.

        Raises:
            EnvironmentError_: disk full or not writable.
        """
        files = {_MODEL: pack(self.tensors()), _LEXICON: self.vocabulary.lexicon.text().encode()}
        seal_folder(folder, files, seal=_SEAL, format=FORMAT, head=self.head())

    @classmethod
    def read(cls, folder: Path) -> System:
        """Read a folder, or the ``model`` folder in it.

        Raises:
            DataError: there is none, or it was altered.
        """
        if not (folder / _SEAL).is_file() and (folder / "model" / _SEAL).is_file():
            folder = folder / "model"
        if not (folder / _SEAL).is_file():
            fix = "asr-ligru fmllr train CORPUS FOLDER"
            raise DataError("no fMLLR model here", where=printable(str(folder)), fix=fix)
        head = open_sealed(folder, seal=_SEAL, format=FORMAT)
        return cls.of(head, Lexicon.read(folder / _LEXICON), unpack(folder / _MODEL))
