"""Several models that answer as one: each frame's probabilities are the mean of theirs."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar, cast

import torch
from torch import Tensor

from asr_ligru.errors import ConfigError
from asr_ligru.features.framing import Framing
from asr_ligru.features.streams import StreamsFrontend
from asr_ligru.hmm.hybrid import HybridHmm
from asr_ligru.models.load import LoadedModel

log = logging.getLogger(__name__)
C = TypeVar("C", bound="CombinedModel")


@dataclass(frozen=True)
class CombinedModel(LoadedModel):
    """A model whose outputs are the mean of several models' outputs.

    Its configuration, tokens and network are those of the first; its front end gives the features of all, those that
    several have in common once.

    Attributes:
        members: the models.
        of_member: which of the front end's parts each member reads.
    """

    members: tuple[LoadedModel, ...] = ()
    of_member: tuple[int, ...] = ()

    @torch.inference_mode()
    def log_probs(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the mean of the members' probabilities (B, T', V), natural log, and lengths (B,).

        Args:
            feats: (T, F) of each utterance, from ``frontend``.
        """
        sizes = [part.size for part in self.frontend.parts]
        split = [torch.split(frames, sizes, 1) for frames in feats]
        total, lens = None, torch.empty(0)
        for member, part in zip(self.members, self.of_member, strict=True):
            log_probs, lens = member.log_probs([own[part] for own in split])
            total = log_probs if total is None else torch.logaddexp(total, log_probs)
        assert total is not None
        return total - math.log(len(self.members)), lens

    def by_tokens(self: C) -> C:
        """Return the members' CTC heads combined; see ``LoadedModel.by_tokens``."""
        return cast(C, combine([member.by_tokens() for member in self.members]))

    def to(self, device: torch.device) -> None:
        """Move all networks to a device."""
        for member in self.members:
            member.to(device)


def combine(models: Sequence[LoadedModel]) -> LoadedModel:
    """Return models as one.

    Args:
        models: of one corpus's tokens, or of one HMM's states, whose frames come at the same times; at least one.

    Returns:
        The model itself where there is one.

    Raises:
        ConfigError: their outputs do not stand for the same.
    """
    first, *others = models
    if not others:
        return first
    for number, other in enumerate(others, start=2):
        difference = _difference(first, other)
        if difference:
            fix = "combine what they recognise instead: asr-ligru rover"
            raise ConfigError(f"models 1 and {number} cannot be averaged: {difference}", fix=fix)
    if first.hmm is None:
        log.warning(
            "CTC models that were trained apart are sure in different frames; asr-ligru rover mostly does better"
        )
    parts: list[LoadedModel] = []
    of_member = []
    for model in models:
        known = next((i for i, part in enumerate(parts) if _same_features(part, model)), len(parts))
        parts += [model] if known == len(parts) else []
        of_member.append(known)
    values = {field.name: getattr(first, field.name) for field in fields(LoadedModel)}
    values |= {
        "frontend": StreamsFrontend([part.frontend for part in parts]),
        "temperature": math.prod(model.temperature for model in models) ** (1 / len(models)),
        "hmm": _mean_priors([model.hmm for model in models if model.hmm]),
        "longest_s": min(model.longest_s for model in models),
    }
    return CombinedModel(**values, members=tuple(models), of_member=tuple(of_member))


def _difference(a: LoadedModel, b: LoadedModel) -> str:
    """Return why outputs of two models cannot be averaged, empty where they can."""
    if (a.hmm is None) != (b.hmm is None):
        return "one is a hybrid, whose outputs are states, and the other has tokens"
    if _frames(a) != _frames(b):
        return f"their outputs stand for other frames ({1000 * a.frame_s:g} and {1000 * b.frame_s:g} ms)"
    if a.hmm is None or b.hmm is None:
        alike = a.tokenizer.kind == b.tokenizer.kind and a.tokenizer.tokens == b.tokenizer.tokens
        return "" if alike else "they have other tokens"
    trees = [hmm.states.tree.table for hmm in (a.hmm, b.hmm)]
    lexicons = [hmm.vocabulary.lexicon.text() for hmm in (a.hmm, b.hmm)]
    alike = trees[0].shape == trees[1].shape and bool((trees[0] == trees[1]).all()) and lexicons[0] == lexicons[1]
    return "" if alike else "their states are those of other GMM-HMMs"


def _frames(model: LoadedModel) -> tuple[object, ...]:
    features = model.config.features
    return features.sample_rate_hz, Framing.of(features), model.network.frames_per_output


def _same_features(a: LoadedModel, b: LoadedModel) -> bool:
    keys = ("features", "streams", "adapt")
    if any(getattr(a.config, key) != getattr(b.config, key) for key in keys):
        return False
    states = [model.frontend.state_dict() for model in (a, b)]
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][key], states[1][key]) for key in states[0]
    )


def _mean_priors(hmms: Sequence[HybridHmm]) -> HybridHmm | None:
    """Return the first of HMMs with the mean of their priors, or None."""
    if not hmms:
        return None
    priors = torch.stack([hmm.states.log_priors for hmm in hmms]).logsumexp(0) - math.log(len(hmms))
    return replace(hmms[0], states=replace(hmms[0].states, log_priors=priors))
