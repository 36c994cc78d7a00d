"""The provider as we reach it: bounded HTTP, caches, and how we prove ourselves. Decides nothing about people."""
