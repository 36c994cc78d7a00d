"""The sign-in providers that the pages offer, by the current configuration. Knows no request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from gateway.public import login
from gateway.public.pages import sign_in as pages
from gateway.public.pages import ssh
from gateway.public.pages.login import by_command, folded
from services.shared.config import Config
from services.shared.runtime.command_line import command_line


class Offered:
    """The providers that the pages offer; a reload replaces them."""

    def __init__(self, config: Config) -> None:
        self._providers = config.oidc.in_use()
        self._command = command_line(config.source)

    async def prepare(self, config: Config) -> Callable[[], None]:
        """Prepare for another configuration; the returned function applies it."""
        providers = config.oidc.in_use()

        def use() -> None:
            self._providers = providers

        return use

    def ways(self) -> Sequence[login.Way]:
        """Return the sections of the page of a login: buttons if there are providers, and always the command line."""
        return self._ways(partial(by_command, command=self._command), "device")

    def ssh_ways(self) -> Sequence[login.Way]:
        """Return the sections of the page of an SSH session, chosen in the same way."""
        return self._ways(partial(ssh.by_command, command=self._command), "session")

    def _ways(self, command: login.Way, what: str) -> Sequence[login.Way]:
        if not self._providers:
            return (command,)
        buttons = [(name, one.provider_name) for name, one in self._providers.items()]
        return (partial(pages.by_buttons, providers=buttons, what=what), lambda auth_id: folded(command(auth_id)))

    def form(self) -> str:
        """Return the CSP source list of the buttons' targets; browsers apply it to the redirects of a form as well."""
        if not self._providers:
            return "'none'"
        secure = all(one.issuer.startswith("https:") for one in self._providers.values())
        return "'self' https:" if secure else "'self' https: http:"

    def label(self, name: str) -> str:
        """Return the label of a provider; for an unknown name, that of the default one."""
        found = self._providers.get(name) or next(iter(self._providers.values()), None)
        return found.provider_name if found is not None else "the provider"
