"""Moving in and out: import from Headscale, backup and restore, checks of the database."""
