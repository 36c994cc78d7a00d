"""REST against gRPC: the same truth, entity tags, versions of the policy."""
