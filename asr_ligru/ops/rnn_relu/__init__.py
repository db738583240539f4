"""The simple recurrent network (RNN) with ReLU over a normalised feed-forward projection."""
