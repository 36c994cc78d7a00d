"""What the use cases require from outside, as protocols grouped by noun. Holds no implementation."""
