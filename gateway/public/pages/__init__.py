"""The pages for browsers: HTML as text, escaped by construction, without scripts. No I/O here."""
