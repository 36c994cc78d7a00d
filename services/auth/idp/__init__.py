"""Access to a provider: bounded HTTP, caches, and client authentication. Decides nothing about users."""
