"""Benchmarks: what the package costs, against what a user would write instead."""
