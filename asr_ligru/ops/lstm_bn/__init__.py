"""The long short-term memory (LSTM) over a normalised feed-forward projection."""
