"""The targets of a hybrid model: the tied state of each frame, by the GMM-HMM or by a network trained before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from asr_ligru.config import Config
from asr_ligru.data.source import FeatureSource
from asr_ligru.errors import ConfigError
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.hybrid import HybridHmm, TiedStates, log_priors
from asr_ligru.hmm.manifests import align_known
from asr_ligru.hmm.run import Done
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.text.targets import check_states
from asr_ligru.train.progress import ProgressBar
from asr_ligru.typing import Utterance


class FrameTargets:
    """Aligns the utterances of a run.

    Args:
        config: of the run; ``train.align_with`` names a network to align with.
        done: the GMM-HMM; it is what aligns when no network is named.
        source: of the run's features.
        bars: makes a progress bar from a label and a total.

    Attributes:
        hmm: what the targets are states of. Its priors are those of the training set, once that is aligned.

    Raises:
        ConfigError: the network that is named cannot align this run's features.
    """

    def __init__(
        self, config: Config, done: Done | None, source: FeatureSource, bars: Callable[[str, int], ProgressBar]
    ) -> None:
        self._config, self._source, self._bars = config, source, bars
        self._done, self._network = done, None
        if config.train.align_with:
            self._network, self.hmm = _network(config, Path(config.train.align_with))
        else:
            assert done is not None
            model, system = done.system.trained.model, done.system
            states = TiedStates(model.tree, model.transitions, log_priors([], model.tree.num_pdfs))
            self.hmm = HybridHmm(system.vocabulary, system.unigram.model(), states)

    def train(self, good: Sequence[tuple[Utterance, int]]) -> dict[str, Tensor]:
        """Return the states (T,) int64 of each training utterance that can be aligned, by its id.

        Args:
            good: utterances with their numbers of frames.

        Raises:
            DataError: an alignment has another number of frames, or states that there are not.
        """
        if self._done is None or self._network is not None:
            found = self._by_network([u for u, _ in good])
        else:
            found = self._by_gmm([u for u, _ in good])
        targets = self._states(found, good)
        self.hmm = self.hmm.with_priors(list(targets.values()))
        return targets

    def dev(self, good: Sequence[tuple[Utterance, int]]) -> dict[str, Tensor]:
        """Return the states of development utterances, as ``train``; nothing is learned from them."""
        utterances = [u for u, _ in good]
        if self._done is None or self._network is not None:
            return self._states(self._by_network(utterances), good)
        corpus = self._config.corpus
        return self._states(align_known(self._done.system, utterances, corpus, self._source.cache_dir), good)

    def reason(self, utterance: Utterance, num_frames: int) -> str:
        """Return why an utterance has no alignment."""
        missing = self.hmm.vocabulary.missing([utterance])
        if missing:
            return f"no pronunciation for {', '.join(repr(m.word) for m in missing)}"
        return f"{num_frames} frames, too few for its words"

    def _states(self, alignments: dict[str, Alignment], good: Sequence[tuple[Utterance, int]]) -> dict[str, Tensor]:
        tree = self.hmm.states.tree
        states = {u.utt_id: alignments[u.utt_id].pdfs(tree) for u, _ in good if u.utt_id in alignments}
        for utterance, frames in good:
            if utterance.utt_id in states:
                check_states(utterance.utt_id, states[utterance.utt_id].tolist(), frames, tree.num_pdfs)
        return states

    def _by_gmm(self, utterances: Sequence[Utterance]) -> dict[str, Alignment]:
        """Return the alignments that are left from its training, and align what it was not trained on."""
        assert self._done is not None
        trained_on = self._done.material.utterances
        pairs = zip(trained_on, self._done.system.trained.alignments, strict=True)
        found = {u.utt_id: alignment for u, alignment in pairs if alignment is not None}
        known = {u.utt_id for u in trained_on}
        others = [u for u in utterances if u.utt_id not in known]
        return found | align_known(self._done.system, others, self._config.corpus, self._source.cache_dir)

    def _by_network(self, utterances: Sequence[Utterance]) -> dict[str, Alignment]:
        assert self._network is not None
        vocabulary = self.hmm.vocabulary
        known = [u for u in utterances if not vocabulary.missing([u])]
        log_probs = []
        with self._bars("aligning with the network", len(known)) as bar:
            for utterance in known:
                rows, _ = self._network.log_probs([self._source.feats(utterance)])
                log_probs.append(rows[0].clone())
                bar.tick()
        found = self.hmm.align([vocabulary.transcript(u.text) for u in known], log_probs)
        return {u.utt_id: alignment for u, alignment in zip(known, found, strict=True) if alignment is not None}


def _network(config: Config, folder: Path) -> tuple[LoadedModel, HybridHmm]:
    """Return a network that aligns, and its HMM."""
    network = load_model(folder)
    if network.hmm is None:
        fix = "name the run of a hybrid model"
        raise ConfigError("that is no hybrid model", where=f"train.align_with={folder}", fix=fix)
    keys = ("features", "streams", "hmm")
    if any(getattr(network.config, key) != getattr(config, key) for key in keys):
        fix = "use the same features, streams and hmm settings in both runs"
        raise ConfigError("that model was trained on other features", where=f"train.align_with={folder}", fix=fix)
    return network, network.hmm
