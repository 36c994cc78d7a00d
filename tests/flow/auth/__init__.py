"""Who may join, asked of the whole auth service: keys, known nodes, logins, pages."""
