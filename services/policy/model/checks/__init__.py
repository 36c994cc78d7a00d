"""Evaluation of a policy for people: tests, SSH tests, explanations, and described tailnets."""
