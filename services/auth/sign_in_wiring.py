"""Builds sign-in for each provider of the configuration, and again at a reload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.auth.clients import AuthRegistryClient
from services.auth.idp.discovery_loop import ProviderDiscovery
from services.auth.idp.provider import HttpProvider
from services.auth.model.oidc.refusal import SignInError
from services.auth.model.oidc.trust import ProviderTrust
from services.auth.provider_config import (
    check_provider,
    credentials_of,
    open_provider_http,
    placed,
    settings_of,
    trust_in,
)
from services.auth.store.flows import FlowStore
from services.auth.store.logins import NodeLoginStore
from services.auth.usecases.evaluate_access import EvaluateAccess
from services.auth.usecases.login_purposes import JoinPurpose, SshPurpose
from services.auth.usecases.logins import Logins
from services.auth.usecases.provider_entries import ProviderEntries, ProviderEntry
from services.auth.usecases.sign_in import SignIn
from services.auth.usecases.ssh_checks import SshChecks
from services.auth.usecases.verify_sign_in import VerifySignIn
from services.shared.background import Background
from services.shared.config.errors import ConfigError, ConfigProblem
from services.shared.config.login import ProviderConfig, key_of_provider
from services.shared.config.model import Config
from services.shared.runtime.clock import Clock
from services.shared.telemetry import Telemetry, get_logger

log = get_logger(__name__)

CLOSE_DELAY = 60.0
"""Seconds that sign-ins in progress at a removed provider have to finish."""


@dataclass(frozen=True, slots=True)
class _Made:
    """One provider, and the configuration that it was built from."""

    settings: tuple[str, ProviderConfig, ProviderTrust]
    offer: ProviderEntry
    provider: HttpProvider
    search: ProviderDiscovery


class SignInPart:
    """Sign-in with all providers of the configuration."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        flows: FlowStore,
        logins: Logins,
        checks: SshChecks,
        node_logins: NodeLoginStore,
        registry: AuthRegistryClient,
        telemetry: Telemetry,
    ) -> None:
        self._config = config
        self._clock = clock
        self._registry = registry
        self._offers = ProviderEntries()
        self._telemetry = telemetry
        self._closing = Background(telemetry)
        self._made: dict[str, _Made] = {}
        self._started = False
        self._use(self._make(config))
        purposes = (JoinPurpose(logins, node_logins, clock), SshPurpose(checks))
        self.sign_in = SignIn(flows, purposes, self._offers, clock)
        self.evaluate_access = EvaluateAccess(self._offers, registry, node_logins)

    async def start(self) -> None:
        """Discover the providers: now where the configuration requires it, else in the background.

        Raises:
            ConfigError: a provider that must answer before the start does not.
        """
        self._started = True
        for name, made in self._made.items():
            if not made.settings[1].only_start_if_oidc_is_available:
                made.search.begin()
            elif (error := await made.search.retry_a_few_times()) is not None:
                raise ConfigError([_unavailable(self._config, name, error)])

    async def prepare(self, config: Config) -> Callable[[], None]:
        """Prepare for another configuration; providers whose section is the same are kept.

        Raises:
            ConfigError: a key of `oidc` cannot be used, or a provider that must answer does not.
        """
        made = self._make(config)
        new = [(name, one) for name, one in made.items() if self._made.get(name) is not one]
        try:
            for name, one in new:
                must = one.settings[1].only_start_if_oidc_is_available
                if must and (error := await one.search.attempt()) is not None:
                    raise ConfigError([_unavailable(config, name, error)])
        except BaseException:
            await asyncio.gather(*(one.provider.close() for _, one in new))
            raise
        return lambda: self._use(made)

    async def stop(self) -> None:
        """Close the providers."""
        await self._closing.stop()
        await asyncio.gather(*(_close(made) for made in self._made.values()))

    def _use(self, made: Mapping[str, _Made]) -> None:
        gone = [one for name, one in self._made.items() if made.get(name) is not one]
        new = [one for name, one in made.items() if self._made.get(name) is not one]
        self._made = dict(made)
        self._offers.replace({name: one.offer for name, one in made.items()})
        for one in gone:
            self._closing.run(_close_after_delay(one), "provider close")
        for one in new:
            settings = one.offer.verify_sign_in.settings
            log.info("sign-in enabled", redirect_uri=settings.redirect_uri, provider=one.offer.label)
            if self._started:
                one.search.begin()

    def _make(self, config: Config) -> dict[str, _Made]:
        problems: list[ConfigProblem] = []
        out: dict[str, _Made] = {}
        for name, provider in config.oidc.in_use().items():
            there = self._made.get(name)
            trust = trust_in(config.oidc, name)
            if there is not None and there.settings == (config.server_url, provider, trust):
                out[name] = there
                continue
            try:
                out[name] = self._make_one(config.server_url, name, provider, trust)
            except ConfigError as error:
                problems.extend(placed(config, error))
        if problems:
            raise ConfigError(problems)
        return out

    def _make_one(self, server_url: str, name: str, config: ProviderConfig, trust: ProviderTrust) -> _Made:
        credentials = credentials_of(config)
        settings = settings_of(server_url, name, config, trust)
        check_provider(name, config, credentials)
        provider = HttpProvider(
            config.issuer, config.app_id, credentials, open_provider_http(name, config), self._clock
        )
        verify = VerifySignIn(provider, self._registry, self._clock, settings)
        offer = ProviderEntry(name, config.provider_name, config.issuer, provider, verify)
        discovery = ProviderDiscovery(provider, config.issuer, Background(self._telemetry))
        return _Made((server_url, config, trust), offer, provider, discovery)


def build_sign_in(
    config: Config,
    clock: Clock,
    flows: FlowStore,
    logins: Logins,
    checks: SshChecks,
    node_logins: NodeLoginStore,
    registry: AuthRegistryClient,
    telemetry: Telemetry,
) -> SignInPart:
    """Build sign-in; without a provider in the configuration there is none until a reload adds one.

    Raises:
        ConfigError: a key of `oidc` cannot be used.
    """
    return SignInPart(config, clock, flows, logins, checks, node_logins, registry, telemetry)


async def _close(made: _Made) -> None:
    await made.search.stop()
    await made.provider.close()


async def _close_after_delay(made: _Made) -> None:
    try:
        await made.search.stop()
        await asyncio.sleep(CLOSE_DELAY)
    finally:
        await made.provider.close()


def _unavailable(config: Config, name: str, error: SignInError) -> ConfigProblem:
    key = key_of_provider(name)
    issuer = f"{key}.issuer"
    where = config.places.get(issuer) or str(config.source or "configuration")
    remedy = (
        f"run `headscale oidc doctor` to examine it, or set {key}.only_start_if_oidc_is_available to false "
        "to start without it"
    )
    return ConfigProblem(where, issuer, f"{config.oidc.in_use()[name].issuer} cannot be used: {error}", remedy)
