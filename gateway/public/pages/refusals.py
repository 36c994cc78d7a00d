"""Titles and advice for people whose sign-in was refused, by reason. Does not know when a reason applies."""

from __future__ import annotations

TITLES = {
    "access-denied": "The provider denied access",
    "domain-not-allowed": "This account may not enter",
    "user-not-allowed": "This account may not enter",
    "group-not-allowed": "This account may not enter",
    "namespace-missing": "This account has no namespace here",
    "email-unverified": "This account may not enter",
    "email-missing": "This account may not enter",
    "groups-missing": "The provider did not send your groups",
    "groups-elsewhere": "The provider did not send your groups",
    "user-unknown": "You have no user here yet",
    "user-suspended": "This user is suspended",
    "device-not-mine": "The device was refused",
    "login-over": "The device's request has ended",
    "login-decided": "The device was already approved or refused",
    "not-owner": "This machine belongs to somebody else",
    "session-over": "The SSH session no longer waits",
    "session-decided": "The SSH session was already approved or refused",
    "session-refused": "The SSH session is not allowed",
    "session-not-mine": "The SSH session was refused",
    "provider-unreachable": "The identity provider cannot be reached",
}
"""The title of the page, by reason."""

_ACCOUNT = """Sign in with another account, if you have one that may enter: sign out at the provider first, or it may
choose the same one again. Otherwise ask the administrator to let this account in."""
_GROUPS = "Ask the administrator: the provider must send your groups to this server."

ADVICE = {
    "access-denied": "If you refused by mistake, or with another account in mind, sign in with another account. "
    "Otherwise ask the administrator of the provider, who decides who may use this server.",
    "domain-not-allowed": _ACCOUNT,
    "user-not-allowed": _ACCOUNT,
    "group-not-allowed": _ACCOUNT,
    "email-missing": _ACCOUNT,
    "email-unverified": "Verify your address at the provider, or ask the administrator, who can set "
    "oidc.email_verified_required: false if the provider verifies every address.",
    "groups-missing": _GROUPS,
    "groups-elsewhere": _GROUPS,
    "claim-malformed": "Ask the administrator: a claim that the provider sends must be corrected there.",
    "token-too-large": "Ask the administrator: the provider puts too much into the ID token.",
    "namespace-missing": "Ask the administrator: the provider must send the claim that names your namespace.",
    "user-unknown": "Ask the administrator to create a user with your address, then try again.",
    "user-suspended": "Ask the administrator.",
    "not-owner": "Sign in as the owner of the machine that opens the session, if that is you too: sign out at the "
    "provider first, or it may choose the same account again. Otherwise send the link to the owner.",
    "session-not-mine": "If you did not open it, somebody else may be using your machine: check it, and tell the "
    "administrator.",
}
"""What a person can do besides trying again, by reason."""
