"""The handlers of administration calls, one module for each noun: they call the services, and know no wire."""
