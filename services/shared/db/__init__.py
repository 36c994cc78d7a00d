"""Access to the database: engines, prepared statements, SQLite on the event loop, failure to connect."""
