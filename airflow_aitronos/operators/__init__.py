"""Operators for Aitronos."""
