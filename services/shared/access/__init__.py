"""Who may reach whom: the compiled policy and its evaluation over one snapshot of users and nodes. Pure: no I/O, no clock."""
