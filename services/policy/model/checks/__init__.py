"""Questions about a compiled policy: tests, SSH tests, explanations, and described tailnets to ask them of."""
