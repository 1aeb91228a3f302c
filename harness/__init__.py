"""claimbench: published findings about neural networks as executable pytest claims."""
