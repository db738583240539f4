"""Word error rates, their uncertainty and tables of them."""
