"""Endless tests, run for as long as one has patience."""
