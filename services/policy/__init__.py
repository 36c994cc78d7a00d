"""The policy service: the policy document, its versions, and its compiled form: who may reach whom."""
