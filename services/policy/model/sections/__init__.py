"""Parsers of the sections of a policy, one module each: from the tree to validated values."""
