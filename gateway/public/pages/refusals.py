"""What people are told of a refusal, by its reason: the words, and nothing of when it happens."""

from __future__ import annotations

TITLES = {
    "access-denied": "The provider said no",
    "domain-not-allowed": "This account may not enter",
    "user-not-allowed": "This account may not enter",
    "group-not-allowed": "This account may not enter",
    "namespace-missing": "This account belongs to nothing here",
    "email-unverified": "This account may not enter",
    "email-missing": "This account may not enter",
    "groups-missing": "The provider did not name your groups",
    "groups-elsewhere": "The provider did not name your groups",
    "user-unknown": "You have no user here yet",
    "user-suspended": "This user is suspended",
    "device-not-mine": "The device was turned away",
    "login-over": "The device's request is over",
    "login-decided": "The device was decided already",
    "not-owner": "This machine belongs to somebody else",
    "session-over": "The SSH session does not wait any more",
    "session-decided": "The SSH session was decided already",
    "session-refused": "The SSH session cannot begin",
    "session-not-mine": "The SSH session was refused",
    "provider-unreachable": "The identity provider cannot be reached",
}
"""What a page says first, by the reason of a refusal."""

_ACCOUNT = """Sign in with another account, if you have one that may enter: sign out at the provider first, or it may
choose the same one again. Otherwise ask the administrator to let this account in."""
_GROUPS = "Ask the administrator: the provider has to name your groups to this server."

ADVICE = {
    "access-denied": "If you said no by mistake, or with another account in mind, sign in with another account. "
    "Otherwise ask the administrator of the provider, who decides who may use this server.",
    "domain-not-allowed": _ACCOUNT,
    "user-not-allowed": _ACCOUNT,
    "group-not-allowed": _ACCOUNT,
    "email-missing": _ACCOUNT,
    "email-unverified": "Have the provider verify your address, or ask the administrator.",
    "groups-missing": _GROUPS,
    "groups-elsewhere": _GROUPS,
    "namespace-missing": "Ask the administrator: the provider has to say what you belong to.",
    "user-unknown": "Ask the administrator to make a user for your address, then try again.",
    "user-suspended": "Ask the administrator.",
    "not-owner": "Sign in as the owner of the machine that opens the session, if that is you too: sign out at the "
    "provider first, or it may choose the same account again. Otherwise send the link to the owner.",
    "session-not-mine": "If you did not open it, somebody else may be using your machine: look at it, and ask the "
    "administrator.",
}
"""What a person can do, besides trying again."""
