"""SSH sessions that somebody must approve, and sign-in for them."""
