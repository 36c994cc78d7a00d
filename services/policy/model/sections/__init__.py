"""The sections of a policy, one module each: from the tree to checked values."""
