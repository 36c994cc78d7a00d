"""REST wires for administrators, one package for each version of the interface."""
