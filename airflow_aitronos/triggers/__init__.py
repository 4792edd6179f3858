"""Triggers for Aitronos."""
