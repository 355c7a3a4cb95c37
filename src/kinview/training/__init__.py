"""The only training loop, and what it is made of."""
