"""Who may reach whom: the compiled policy and what it says about one snapshot of users and nodes. Pure."""
