"""CTC beam search with an n-gram language model and hot words (extra ``lm``)."""
