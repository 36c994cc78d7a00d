"""The compiled policy, and its evaluation on one snapshot of users and nodes. Pure."""
