"""Sensors for Aitronos."""
