"""The compiled policy and its evaluator: `compiled` and `inputs` go in, `evaluator.Access` gives results. Pure."""
