"""A policy that changes under a running tailnet: file mode, live edits, postures."""
