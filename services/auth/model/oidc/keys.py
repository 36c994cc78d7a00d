"""A provider's public keys: parsing of its JWK set, and selection of the key that verifies a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from services.auth.model.oidc.refusal import RefusalReason, SignInError

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, OKPKey, RSAKey

PublicKey: TypeAlias = "RSAKey | ECKey | OKPKey"

MAX_KEYS = 100
MIN_RSA_BITS = 2048

_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}


class UnknownKeyError(SignInError):
    """No key of the set has the token's key id: the set may be stale."""


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """One key, with the id and algorithm that the provider states."""

    kid: str
    kind: str
    curve: str
    alg: str
    bits: int
    key: PublicKey

    def fits(self, alg: str) -> bool:
        """Return whether the key can verify signatures of this algorithm."""
        if self.alg and self.alg != alg:
            return False
        if alg in _CURVES:
            return self.curve == _CURVES[alg]
        return self.kind == "RSA"


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a provider when they were fetched."""

    keys: tuple[ProviderKey, ...]

    def find(self, kid: str | None, alg: str) -> PublicKey:
        """Return the key that verifies a token.

        Raises:
            UnknownKeyError: none has this id and fits the algorithm.
            SignInError: several fit, or it is too weak.
        """
        fitting = [key for key in self.keys if key.fits(alg) and kid in (None, key.kid)]
        if not fitting:
            raise UnknownKeyError(RefusalReason.TOKEN_KEY_UNKNOWN, "the provider publishes no key for its token")
        if len(fitting) > 1:
            raise SignInError(RefusalReason.TOKEN_KEY_AMBIGUOUS, "the token names none of several keys")
        if fitting[0].kind == "RSA" and fitting[0].bits < MIN_RSA_BITS:
            raise SignInError(
                RefusalReason.TOKEN_KEY_WEAK, f"the provider's RSA key has fewer than {MIN_RSA_BITS} bits"
            )
        return fitting[0].key


def read_keys(document: object) -> KeySet:
    """Read a JWK set. Keys of other kinds, for encryption, private and broken ones are skipped.

    Raises:
        SignInError: it is not a key set, or has no usable key.
    """
    listed = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(listed, list):
        raise SignInError(RefusalReason.JWKS_UNUSABLE, "the provider's key set is malformed")
    keys = tuple(key for item in listed[:MAX_KEYS] if (key := _read_key(item)) is not None)
    if not keys:
        raise SignInError(RefusalReason.JWKS_UNUSABLE, "the provider's key set has no key for signatures")
    return KeySet(keys)


def _read_key(item: object) -> ProviderKey | None:
    if not isinstance(item, dict) or item.get("use", "sig") != "sig" or "d" in item:
        return None
    # Imported late: a server without a provider reads no keys.
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    kinds: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    kind = item.get("kty")
    made = kinds.get(kind) if isinstance(kind, str) else None
    if made is None or not isinstance(kind, str):
        return None
    parts = {name: item[name] for name in ("kty", "n", "e", "crv", "x", "y") if isinstance(item.get(name), str)}
    try:
        key = made.import_key(parts)
        bits = int(getattr(key.public_key, "key_size", 0))
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    kid, alg = item.get("kid"), item.get("alg")
    return ProviderKey(
        kid=kid if isinstance(kid, str) else "",
        kind=kind,
        curve=parts.get("crv", ""),
        alg=alg if isinstance(alg, str) else "",
        bits=bits,
        key=key,
    )
