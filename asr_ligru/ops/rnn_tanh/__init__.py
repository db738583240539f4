"""The simple recurrent network (RNN) with tanh over a normalised feed-forward projection."""
