"""Mini LibriSpeech: five hours of read English books."""
