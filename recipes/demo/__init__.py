"""The embedded corpus: spoken commands synthesised with espeak-ng."""
