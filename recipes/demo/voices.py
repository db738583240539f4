"""The sixty speakers: each one variant of espeak-ng with an accent, a pitch and a rate of its own."""

from __future__ import annotations

from dataclasses import dataclass

from .randomness import generator

# Left out: whispers, croaks and robots, those of which a nearest-neighbour classifier with the other variants as
# templates cannot tell single words apart, and those with breath in a Klatt synthesiser (their noise comes from the C
# library's rand(), which is shared with everything else in the process). No variant of dev or test has a near copy in
# another split.
VARIANTS: dict[str, tuple[str, ...]] = {
    "train": (
        *("m1", "f2", "Alex", "Andrea", "m4", "f4", "ed", "Annie", "pedro", "f5", "john"),
        *("aunty", "robert", "linda", "klatt", "grandma", "m5", "RicishayMax", "max", "m6", "antonio", "m7"),
        *("paul", "klatt2", "Denis", "m8", "benjamin", "Jacky", "pablo", "Michael", "quincy", "Mario", "Nguyen"),
        *("edward2", "travis", "klatt4", "AnxiousAndy", "RicishayMax2", "grandpa"),
        *("edward", "sandro", "Mike", "gustave", "Tweaky"),
    ),
    "dev": ("m2", "f3", "michel", "klatt3", "mike2", "steph"),
    "test": ("m3", "f1", "Gene", "belinda", "boris", "adam", "marcelo", "iven3", "Storm", "victor"),
}
ACCENTS = (
    "en-us",
    "en-us",
    "en",
    "en-us",
    "en-gb-scotland",
    "en-us",
    "en",
    "en-us-nyc",
    "en-gb-x-rp",
    "en-us",
    "en-029",
)


@dataclass(frozen=True, slots=True)
class Voice:
    """One speaker.

    Attributes:
        name: speaker id, lower case, of letters, digits and hyphens.
        accent: espeak-ng's name of the kind of English.
        variant: espeak-ng's name of the vocal tract.
        pitch: 0 to 99; 50 is the variant's own.
        pitch_range: 0 (monotone) to 99; 50 is the variant's own.
        rate_wpm: words per minute.
    """

    name: str
    accent: str
    variant: str
    pitch: int = 50
    pitch_range: int = 50
    rate_wpm: int = 175


REFERENCE = Voice("reference", "en-us", "m3")  # whose phones the lexicon has


def voices(split: str, seed: int) -> list[Voice]:
    """Return the speakers of a split; no two splits share a variant.

    Args:
        split: "train", "dev" or "test".
        seed: of the corpus; decides pitch and rate.
    """
    found = []
    for index, variant in enumerate(VARIANTS[split]):
        name = f"{split}{index:02d}-{variant.lower()}"
        rng = generator(seed, name)
        pitch, spread, rate = rng.integers((35, 35, 150), (66, 66, 221))
        found.append(Voice(name, ACCENTS[index % len(ACCENTS)], variant, int(pitch), int(spread), int(rate)))
    return found
