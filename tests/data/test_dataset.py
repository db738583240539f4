"""Examples and batches: what is drawn depends on (seed, epoch, utterance) alone, and padding is zero."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_ligru.config import AugmentConfig, CorpusConfig, FeaturesConfig
from asr_ligru.data.dataset import Example, SpeechDataset, collate
from asr_ligru.data.distort import distortion_of
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.source import FeatureSource
from asr_ligru.typing import Utterance
from tests.tiny_corpus import SAMPLE_RATE_HZ, write_corpus

SOURCE = FeatureSource(FeaturesConfig(sample_rate_hz=SAMPLE_RATE_HZ, num_bins=12), CorpusConfig())
AUGMENT = AugmentConfig(
    speed=(0.9, 1.0, 1.1), time_masks=2, time_mask_fraction=0.4, freq_masks=2, freq_mask_fraction=0.5
)


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    return read_manifest(write_corpus(tmp_path_factory.mktemp("corpus"), num_train=6) / "train.jsonl")


def dataset(utterances: list[Utterance], seed: int = 1, augment: AugmentConfig | None = AUGMENT) -> SpeechDataset:
    return SpeechDataset(utterances, [[n + 1] * (n + 1) for n in range(len(utterances))], SOURCE, seed, augment)


def same(a: Example, b: Example) -> bool:
    return a.feats.shape == b.feats.shape and torch.equal(a.feats, b.feats)


def test_example_without_augmentation_is_the_sources_in_every_epoch(utterances: list[Utterance]) -> None:
    plain = dataset(utterances, augment=None)
    assert len(plain) == 6
    for index, utterance in enumerate(utterances):
        first, later = plain[1, index], plain[7, index]
        assert torch.equal(first.feats, SOURCE.feats(utterance))
        assert same(first, later)
        assert (first.utt_id, first.tokens, first.epoch) == (utterance.utt_id, (index + 1,) * (index + 1), 1)
        assert later.epoch == 7


def test_example_is_the_same_in_any_order_place_and_state_of_the_generators(utterances: list[Utterance]) -> None:
    expected = [dataset(utterances)[3, i] for i in range(6)]
    torch.manual_seed(77)
    np.random.seed(77)
    reverse = dataset(utterances[::-1])
    reverse[9, 2]
    assert all(same(reverse[3, 5 - i], expected[i]) for i in (4, 0, 5, 1, 3, 2))


def test_example_differs_between_epochs_seeds_and_utterances(utterances: list[Utterance]) -> None:
    renamed = [replace(u, utt_id=f"other {u.utt_id}") for u in utterances]
    drawn_from = [
        (dataset(utterances), 1),
        (dataset(utterances), 2),
        (dataset(utterances, seed=2), 1),
        (dataset(renamed), 1),
    ]
    draws = [[data[epoch, i] for i in range(6)] for data, epoch in drawn_from]
    for other in draws[1:]:
        assert not any(same(a, b) for a, b in zip(draws[0], other, strict=True))


def test_example_draws_every_speed(utterances: list[Utterance]) -> None:
    data = dataset(utterances, augment=AugmentConfig(speed=(0.9, 1.0, 1.1)))
    drawn = {len(data[epoch, 0].feats) for epoch in range(20)}
    assert drawn == {len(SOURCE.feats(utterances[0], speed)) for speed in (0.9, 1.0, 1.1)}


def test_example_augmented_leaves_the_cached_features_as_they_were(utterances: list[Utterance], tmp_path: Path) -> None:
    source = FeatureSource(SOURCE.config, SOURCE.corpus, tmp_path)
    expected = source.feats(utterances[0])
    masked = SpeechDataset(utterances, [[1]] * 6, source, 1, replace(AUGMENT, speed=()))
    assert not torch.equal(masked[1, 0].feats, expected)
    assert torch.equal(source.feats(utterances[0]), expected)


def test_collate_pads_with_zeros_and_keeps_everything_else(poisoned_memory: None) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((5, 3), (9, 1), (2, 4))
    examples = [
        Example(f"id {n}", torch.rand(frames, 4, generator=generator) + 1, tuple(range(1, tokens + 1)), 6)
        for n, (frames, tokens) in enumerate(shapes)
    ]
    batch = collate(examples)
    assert batch.utt_ids == ("id 0", "id 1", "id 2")
    assert batch.feats.shape == (3, 9, 4)
    assert batch.feat_lens.tolist() == [5, 9, 2]
    assert batch.tokens.tolist() == [[1, 2, 3, 0], [1, 0, 0, 0], [1, 2, 3, 4]]
    assert batch.token_lens.tolist() == [3, 1, 4]
    assert batch.epoch == 6
    assert {t.dtype for t in (batch.feat_lens, batch.tokens, batch.token_lens)} == {torch.int64}
    for example, row, frames in zip(examples, batch.feats, batch.feat_lens.tolist(), strict=True):
        assert torch.equal(row[:frames], example.feats)
        assert not row[frames:].any()


def test_collate_an_utterance_without_tokens_has_length_zero() -> None:
    batch = collate([Example("silent", torch.ones(3, 2), (), 0), Example("one", torch.ones(2, 2), (4,), 0)])
    assert batch.tokens.tolist() == [[0], [4]]
    assert batch.token_lens.tolist() == [0, 1]


@pytest.mark.parametrize("augment", [{"speed": (0.8,)}, {"tempo": (0.8,)}, {"speed": (1.25,), "tempo": (0.9,)}])
def test_example_of_frames_keeps_each_target_with_its_sound(
    augment: dict[str, tuple[float, ...]], utterances: list[Utterance]
) -> None:
    # The target of a frame is whether it is loud: of the changed speech that can be seen again.
    config = AugmentConfig(**augment)
    source = FeatureSource(replace(SOURCE.config, cmvn="none"), CorpusConfig())

    def loud(feats: torch.Tensor) -> list[int]:
        level = feats.amax(1)
        return (level > (level.max() + level.min()) / 2).long().tolist()

    targets = [loud(source.feats(utterance)) for utterance in utterances]
    rate_hz = SOURCE.config.sample_rate_hz
    data = SpeechDataset(
        utterances, targets, source, 1, config, distortion=distortion_of(config, rate_hz, 1), of_frames=True
    )
    for index in range(len(utterances)):
        example = data[1, index]
        assert len(example.tokens) == len(example.feats)
        assert len(example.feats) != len(targets[index])
        wrong = sum(a != b for a, b in zip(example.tokens, loud(example.feats), strict=True))
        edges = sum(a != b for a, b in zip(targets[index], targets[index][1:], strict=False))
        assert wrong <= 2 * edges  # within two frames of each edge


def test_example_with_an_effect_switched_on_keeps_its_masks_and_speed(utterances: list[Utterance]) -> None:
    louder = replace(AUGMENT, volume_db=(6.0, 6.0))
    plain = dataset(utterances)
    changed = SpeechDataset(
        utterances, plain.tokens, SOURCE, 1, louder, distortion=distortion_of(louder, SAMPLE_RATE_HZ, 1)
    )
    for index in range(len(utterances)):
        torch.testing.assert_close(changed[2, index].feats, plain[2, index].feats, rtol=0, atol=0.05)


def test_targets_of_frames_follow_the_speed_and_those_of_the_utterance_do_not(utterances: list[Utterance]) -> None:
    frames = [[n] * len(SOURCE.feats(u)) for n, u in enumerate(utterances)]
    spelled = [[n + 1] * (n + 1) for n in range(6)]
    data = SpeechDataset(
        utterances, frames, SOURCE, 1, AugmentConfig(speed=(0.8, 1.25)), of_frames=True, ctc_tokens=spelled
    )
    lengths = set()
    for epoch in range(1, 6):
        batch = collate([data[epoch, n] for n in range(6)])
        assert torch.equal(batch.token_lens, batch.feat_lens)
        assert batch.ctc_token_lens.tolist() == [1, 2, 3, 4, 5, 6]
        assert batch.ctc_tokens.tolist() == [ids + [0] * (6 - len(ids)) for ids in spelled]
        lengths.add(int(batch.feat_lens[0]))
    assert len(lengths) == 2
    assert len(frames[0]) not in lengths


def test_batch_without_a_ctc_head_has_none_of_its_tokens() -> None:
    batch = collate([Example("one", torch.ones(2, 2), (4,), 0), Example("two", torch.ones(1, 2), (4,), 0)])
    assert batch.ctc_tokens.shape == (2, 0)
    assert batch.ctc_token_lens.tolist() == [0, 0]
