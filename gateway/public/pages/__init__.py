"""What people see in a browser: HTML as text, escaped by construction, without scripts. No I/O here."""
