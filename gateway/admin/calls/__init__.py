"""What each administration call does, one module for each noun; knows services, and no wire."""
