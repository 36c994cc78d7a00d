"""The only door: knows every outside wire, decides nothing, stores nothing."""
