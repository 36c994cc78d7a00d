"""Inputs of other people's installations that lie beside the checkout, each run against the real program."""
