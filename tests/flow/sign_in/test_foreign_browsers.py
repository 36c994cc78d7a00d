"""States, codes and confirmations that are not this browser's, or came too late; and nothing of a sign-in to steal."""

from __future__ import annotations

import grpc
import pytest

from tests.fakes.provider import SECRET
from tests.fakes.sign_in import CONFIRMING, Lab


async def test_a_state_from_another_browser_or_a_forged_one_finds_nothing(lab: Lab) -> None:
    await lab.begin()
    mine, theirs = await lab.start(), await lab.start()
    parameters = lab.provider.authorize(mine.authorization_url)
    flow_id = mine.flow_id
    for secret, state in (
        (theirs.browser_secret, parameters["state"]),
        ("", parameters["state"]),
        (mine.browser_secret, flow_id + ".x"),
        (mine.browser_secret, "x"),
        (mine.browser_secret, ""),
        (mine.browser_secret, parameters["state"] + "x"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await lab.finish(secret, {**parameters, "state": state})
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert not any(path.endswith("/token") for path in lab.provider.requests)
    assert (await lab.finish(mine.browser_secret, parameters)).state == CONFIRMING


async def test_a_code_of_another_browser_is_worthless(lab: Lab) -> None:
    await lab.begin()
    mine, theirs = await lab.start(), await lab.start()
    stolen = lab.provider.authorize(theirs.authorization_url)["code"]
    parameters = lab.provider.authorize(mine.authorization_url)
    assert (await lab.finish(mine.browser_secret, {**parameters, "code": stolen})).reason == "code-refused"


async def test_an_expired_sign_in_is_gone(lab: Lab) -> None:
    await lab.begin()
    started = await lab.start()
    lab.tailnet.clock.advance(15 * 60)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.finish(started.browser_secret, lab.provider.authorize(started.authorization_url))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_confirmation_that_is_not_the_pages_is_refused(lab: Lab) -> None:
    await lab.begin()
    started, shown = await lab.come_back()
    shown.confirmation = "x"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.confirm(started, shown)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT and not lab.tailnet.registry.nodes


async def test_only_so_many_sign_ins_of_one_device_are_kept(lab: Lab) -> None:
    await lab.begin()
    first = await lab.start()
    for _ in range(20):
        lab.tailnet.clock.advance(1)
        last = await lab.start()
    with pytest.raises(grpc.aio.AioRpcError):
        await lab.finish(first.browser_secret, lab.provider.authorize(first.authorization_url))
    assert (await lab.finish(last.browser_secret, lab.provider.authorize(last.authorization_url))).state == CONFIRMING


async def test_no_secret_reaches_the_log(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    await lab.begin()
    started = await lab.start()
    parameters = lab.provider.authorize(started.authorization_url)
    shown = await lab.finish(started.browser_secret, parameters)
    await lab.confirm(started, shown)
    written = "".join(capsys.readouterr())
    for secret in (started.browser_secret, parameters["state"], parameters["code"], SECRET, shown.confirmation):
        assert secret not in written


def test_what_is_stored_of_a_sign_in_cannot_finish_one() -> None:
    from services.auth.model.oidc.flow import digest

    assert len(digest("browser", "x")) == 64 and digest("browser", "x") != digest("state", "x")
