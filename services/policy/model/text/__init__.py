"""The text of a policy: HuJSON and YAML read into a tree that remembers positions, and the problems found in it."""
