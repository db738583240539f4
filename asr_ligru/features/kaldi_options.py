"""Kaldi's feature options that recipes leave alone, for features like those of an existing Kaldi setup."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KaldiOptions:
    """Options of ``compute-fbank-feats`` and ``compute-mfcc-feats``, under Kaldi's names.

    The defaults are Kaldi's, but for the energy, which its recipes turn off.

    Attributes:
        window_type: "povey", "hamming", "hanning", "blackman" or "rectangular".
        preemphasis_coefficient: 0 to 1.
        remove_dc_offset: subtract the mean of each frame.
        snip_edges: only frames that lie entirely inside the wav; otherwise it is mirrored at its ends.
        round_to_power_of_two: fill up frames with zeros for the Fourier transform.
        use_energy: the log energy comes first, with mfcc in place of C0.
        raw_energy: it is that of the frame before pre-emphasis and window.
        energy_floor: the least energy, in squared 16-bit units; 0 for none.
        htk_compat: the energy, or C0, comes last.
        use_log_fbank: logarithms of the filters' energies.
        use_power: the filters are applied to squares of the spectrum, not to its magnitude.
        cepstral_lifter: scales cepstra; 0 for none.
    """

    window_type: str = "povey"
    preemphasis_coefficient: float = 0.97
    remove_dc_offset: bool = True
    snip_edges: bool = True
    round_to_power_of_two: bool = True
    use_energy: bool = False
    raw_energy: bool = True
    energy_floor: float = 0.0
    htk_compat: bool = False
    use_log_fbank: bool = True
    use_power: bool = True
    cepstral_lifter: float = 22.0
