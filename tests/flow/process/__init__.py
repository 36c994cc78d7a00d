"""Processes: start, reload, debug pages, metrics."""
