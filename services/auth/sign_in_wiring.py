"""Plugs sign-in together, where the configuration names a provider; otherwise there is none of it."""

from __future__ import annotations

import asyncio
import contextlib

from services.auth.clients import RegistryClient
from services.auth.idp.client_auth import Credentials, UnusableSecretError
from services.auth.idp.http import ProviderHttp
from services.auth.idp.provider import HttpProvider
from services.auth.model.oidc.entry import EntryRules, check_format
from services.auth.model.oidc.person import ClaimNames
from services.auth.model.oidc.refusal import SignInError
from services.auth.store import FlowStore
from services.auth.usecases.logins import Logins
from services.auth.usecases.prove_person import ProvePerson, SignInSettings
from services.auth.usecases.sign_in import SignIn
from services.shared.clock import Clock
from services.shared.config.errors import ConfigError, Problem
from services.shared.config.login import OidcConfig
from services.shared.config.model import Config
from services.shared.telemetry import get_logger

log = get_logger(__name__)

START_TRIES = 5
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


class SignInPart:
    """The use case and the provider behind it."""

    def __init__(self, sign_in: SignIn, provider: HttpProvider, must_answer: bool) -> None:
        self.sign_in = sign_in
        self._provider = provider
        self._must_answer = must_answer
        self._looking: asyncio.Task[SignInError | None] | None = None

    async def start(self) -> None:
        """Look for the provider: now where the configuration says so, else beside the work.

        Raises:
            ConfigError: it must answer before we start, and does not.
        """
        if not self._must_answer:
            self._looking = asyncio.create_task(self._look(None), name="provider discovery")
            return
        error = await self._look(START_TRIES)
        if error is not None:
            remedy = "mend it, or set oidc.only_start_if_oidc_is_available to false"
            raise ConfigError([Problem("provider", "oidc.issuer", f"cannot be used: {error}", remedy)])

    async def stop(self) -> None:
        """Let the provider go."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
        await self._provider.close()

    async def _look(self, tries: int | None) -> SignInError | None:
        pause, failure = FIRST_PAUSE, None
        while tries is None or tries > 0:
            try:
                metadata = await self._provider.metadata()
            except SignInError as error:
                failure = error
                tries = None if tries is None else tries - 1
                if tries != 0:
                    await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
            else:
                log.info("provider found", issuer=metadata.issuer)
                return None
        return failure


def build_sign_in(
    config: Config, clock: Clock, flows: FlowStore, logins: Logins, registry: RegistryClient
) -> SignInPart | None:
    """Make it; None where no provider is configured.

    Raises:
        ConfigError: a key of `oidc` cannot be used.
    """
    oidc = config.oidc
    if not oidc.issuer:
        return None
    credentials = Credentials(
        oidc.client_id, oidc.client_secret, oidc.client_secret_path, oidc.private_key_path, oidc.client_auth
    )
    if oidc.namespace_claim:
        log.warning("oidc.namespace_claim is not used yet; the name of a user follows oidc.namespace_format")
    settings = _settings(config, oidc)
    try:
        check_format(settings.entry.name_format)
    except ValueError as error:
        remedy = "use {email}, {email_local}, {username}, {name}, {sub} or {claim:NAME}"
        raise ConfigError([Problem("configuration", "oidc.namespace_format", str(error), remedy)]) from None
    try:
        http = ProviderHttp(oidc.ca_path)
    except OSError as error:
        what = f"cannot be read ({type(error).__name__})"
        raise ConfigError([Problem("configuration", "oidc.ca_path", what, "name a file of PEM certificates")]) from None
    if oidc.private_key_path is None or oidc.client_secret or oidc.client_secret_path is not None:
        try:
            credentials.current_secret()
        except UnusableSecretError as error:
            key = "oidc.client_secret_path" if oidc.client_secret_path is not None else "oidc.client_secret"
            remedy = "copy it from your provider's page"
            raise ConfigError([Problem("configuration", key, str(error), remedy)]) from None
    provider = HttpProvider(oidc.issuer, oidc.app_id, credentials, http, clock)
    prove = ProvePerson(provider, registry, clock, settings)
    log.info("sign-in is on", redirect_uri=settings.redirect_uri, provider=oidc.provider_name)
    return SignInPart(SignIn(flows, logins, provider, prove, clock), provider, oidc.only_start_if_oidc_is_available)


def _settings(config: Config, oidc: OidcConfig) -> SignInSettings:
    claims = oidc.claims
    return SignInSettings(
        client_id=oidc.client_id,
        redirect_uri=f"{config.server_url.rstrip('/')}/oidc/callback",
        scope=oidc.scope,
        extra_params=oidc.extra_params,
        leeway=oidc.clock_leeway,
        claims=ClaimNames(claims.email, claims.name, claims.groups, claims.username, claims.picture),
        entry=EntryRules(
            domains=oidc.allowed_domains,
            users=oidc.allowed_users,
            groups=oidc.allowed_groups,
            email_verified_required=oidc.email_verified_required,
            create_users=oidc.auto_create_users,
            name_format=oidc.namespace_format if oidc.create_namespace_for_user else "",
        ),
        key_lifetime=oidc.expiry,
        expiry_from_token=oidc.use_expiry_from_token,
    )
