"""LibriSpeech: a thousand hours of read English books."""
