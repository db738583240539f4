"""Acoustic features, their normalisation and augmentation.

``FeatureExtractor`` turns a wav into raw features, ``Frontend`` turns those into what a model reads.
"""

from asr_ligru.torchaudio_import import ensure

ensure()  # the modules of this package import torchaudio
