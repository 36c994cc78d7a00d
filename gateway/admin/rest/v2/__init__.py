"""REST at /api/v2: the hosted service's shapes, for Terraform, the official Go client and the like. Decides nothing."""
