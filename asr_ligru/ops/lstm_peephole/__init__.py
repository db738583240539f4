"""The long short-term memory (LSTM) whose gates see the cell."""
