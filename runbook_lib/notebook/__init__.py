"""What notebooks open, and what runs one: stages, the engine, warm kernels."""
