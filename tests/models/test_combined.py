"""Models averaged: the mean of their probabilities, whatever their features, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from asr_ligru.config import CellConfig, Config, FeaturesConfig, ModelConfig, TokensConfig
from asr_ligru.errors import ConfigError
from asr_ligru.hmm.tree import ContextTree
from asr_ligru.models.build import build_model
from asr_ligru.models.combined import CombinedModel, combine
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.text.tokenizer import build_tokenizer
from tests.hmm.hybrid_case import tiny_hmm
from tests.tiny_corpus import SAMPLE_RATE_HZ, say
from tests.tiny_model import CONFIG, NUM_BINS, TOKENIZER, write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(write_model(tmp_path_factory.mktemp("combined") / "model"))


def other(model: LoadedModel, config: Config = CONFIG, num_bins: int = NUM_BINS, seed: int = 1) -> LoadedModel:
    """Return a model of other parameters, and perhaps another configuration."""
    torch.manual_seed(seed)
    network = build_model(config, num_bins, TOKENIZER.vocab_size).eval()
    features = replace(config.features, num_bins=num_bins)
    frontend = type(model.frontend)(features)
    return replace(model, network=network, config=replace(config, features=features), frontend=frontend)


def probs(model: LoadedModel, seconds: list[list[str]]) -> torch.Tensor:
    log_probs, lens = model.log_probs([model.feats(say(words, 1)) for words in seconds])
    return torch.cat([row[:n].exp() for row, n in zip(log_probs, lens.tolist(), strict=True)])


@pytest.mark.parametrize("num_bins", [NUM_BINS, 17])
def test_combine_ctc_is_the_mean_of_probabilities(model: LoadedModel, num_bins: int) -> None:
    third = other(model, replace(CONFIG, cell=CellConfig(name="gru_bn", hidden_size=5)), seed=2)
    models = [model, other(model, num_bins=num_bins), third]
    together = combine(models)
    assert len(together.frontend.parts) == (1 if num_bins == NUM_BINS else 2)
    said = [["ab", "cd"], ["ef"]]
    expected = sum(probs(one, said) for one in models) / 3
    torch.testing.assert_close(probs(together, said), expected, atol=1e-6, rtol=1e-5)


def test_combine_hybrids_averages_states_and_priors(model: LoadedModel) -> None:
    hmms = [tiny_hmm().with_priors([torch.tensor(states)]) for states in ([0, 0, 1], [5, 5, 5])]
    config = replace(CONFIG, model=ModelConfig(name="hybrid"))
    both = []
    for seed, hmm in enumerate(hmms):
        torch.manual_seed(seed)
        both.append(replace(model, hmm=hmm, network=build_model(config, NUM_BINS, 1, hmm).eval()))
    together = combine(both)
    assert together.hmm is not None
    priors = sum(hmm.states.log_priors.exp() for hmm in hmms) / 2
    torch.testing.assert_close(together.hmm.states.log_priors.exp(), priors)
    said = [["ab"]]
    torch.testing.assert_close(probs(together, said), (probs(both[0], said) + probs(both[1], said)) / 2)


def test_combine_one_model_is_that_model(model: LoadedModel) -> None:
    assert combine([model]) is model
    twice = combine([model, replace(model, temperature=4.0)])
    assert isinstance(twice, CombinedModel)
    assert twice.temperature == pytest.approx(2.0)


def test_combine_outputs_that_stand_for_something_else_are_refused(model: LoadedModel) -> None:
    hybrid = replace(model, hmm=tiny_hmm())
    tokens = replace(model, tokenizer=build_tokenizer(TokensConfig(), ["x y z"], None))
    slower = other(model, replace(CONFIG, model=ModelConfig(stack_frames=3)))
    shifted = other(model, replace(CONFIG, features=FeaturesConfig(sample_rate_hz=SAMPLE_RATE_HZ, frame_shift_ms=20.0)))
    hmm = tiny_hmm()
    table = hmm.states.tree.table.clone()
    table[table == 11] = 10
    merged = replace(hmm, states=replace(hmm.states, tree=ContextTree(hmm.states.tree.topology, table)))
    for first, second, why in (
        (model, hybrid, "one is a hybrid"),
        (model, tokens, "other tokens"),
        (model, slower, r"other frames \(20 and 30 ms\)"),
        (model, shifted, "other frames"),
        (hybrid, replace(model, hmm=merged), "other GMM-HMMs"),
    ):
        with pytest.raises(ConfigError, match=f"models 1 and 2 cannot be averaged: .*{why}"):
            combine([first, second])


def test_combine_moves_all_networks(model: LoadedModel) -> None:
    moved = combine([other(model, seed=3), other(model, seed=4)])
    assert isinstance(moved, CombinedModel)
    moved.to(torch.device("meta"))
    assert {next(m.network.parameters()).device.type for m in moved.members} == {"meta"}
