"""Hooks for Aitronos."""
