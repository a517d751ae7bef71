"""Benchmarks and the one form that their figures have."""
