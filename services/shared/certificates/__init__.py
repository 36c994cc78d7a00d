"""Certificates of our listeners: checked, watched on disk, and ordered by ACME."""
