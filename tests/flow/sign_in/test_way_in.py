"""From the device that waits to the device that is in, over any instance, once."""

from __future__ import annotations

import asyncio

from tests.fakes.sign_in import CONFIRMING, DONE, REFUSED, Lab


async def test_a_person_signs_in_confirms_and_the_waiting_device_is_in(lab: Lab) -> None:
    await lab.begin()
    waiting = lab.device.follow_soon(lab.url)
    await lab.tailnet.watched()
    started, shown = await lab.come_back()
    assert shown.state == CONFIRMING and shown.user == "alice@example.com" and shown.login.hostname == "laptop"
    assert not lab.tailnet.registry.nodes and not waiting.done()
    assert (await lab.confirm(started, shown)).state == DONE
    answer = await waiting
    assert answer.admitted.user.email == "alice@example.com"
    assert lab.tailnet.registry.admissions[-1].register_method == 3
    sign_in = lab.tailnet.registry.sign_ins[-1]
    assert (sign_in.issuer, sign_in.subject, list(sign_in.groups)) == (lab.provider.issuer, "s1", ["dev"])


async def test_each_step_may_land_on_another_instance(lab: Lab) -> None:
    await lab.begin(instances=3)
    waiting = lab.device.follow_soon(lab.url)
    started = await lab.start()
    parameters = lab.provider.authorize(started.authorization_url)
    shown = await lab.finish(started.browser_secret, parameters, instance=1)
    assert (await lab.confirm(started, shown)).state == DONE
    assert (await waiting).HasField("admitted")


async def test_reload_and_back_change_nothing(lab: Lab) -> None:
    await lab.begin()
    started = await lab.start()
    parameters = lab.provider.authorize(started.authorization_url)
    first = await lab.finish(started.browser_secret, parameters)
    assert await lab.finish(started.browser_secret, parameters) == first
    done = await lab.confirm(started, first)
    assert await lab.confirm(started, first) == done
    assert (await lab.finish(started.browser_secret, parameters)).state == DONE
    assert len(lab.tailnet.registry.admissions) == 1 and len(lab.tailnet.registry.sign_ins) == 1


async def test_two_tabs_do_not_disturb_each_other(lab: Lab) -> None:
    await lab.begin()
    one, two = await lab.start(), await lab.start()
    shown_two = await lab.finish(two.browser_secret, lab.provider.authorize(two.authorization_url))
    shown_one = await lab.finish(one.browser_secret, lab.provider.authorize(one.authorization_url))
    assert (await lab.confirm(one, shown_one)).state == DONE
    assert (await lab.confirm(two, shown_two)).state == DONE
    assert len(lab.tailnet.registry.admissions) == 1


async def test_the_same_answer_at_once_is_redeemed_once(lab: Lab) -> None:
    await lab.begin(instances=2)
    started = await lab.start()
    parameters = lab.provider.authorize(started.authorization_url)
    await asyncio.gather(*(lab.finish(started.browser_secret, parameters, number % 2) for number in range(6)))
    assert sum(path.endswith("/token") for path in lab.provider.requests) == 1


async def test_a_login_that_was_replaced_cannot_be_confirmed(lab: Lab) -> None:
    await lab.begin()
    started, shown = await lab.come_back()
    lab.device.regenerate()
    await lab.device.register()
    over = await lab.confirm(started, shown)
    assert (over.state, over.reason, over.final) == (REFUSED, "login-over", False)
    assert not lab.tailnet.registry.nodes


async def test_a_device_that_another_person_took_is_not_given_twice(lab: Lab) -> None:
    await lab.begin()
    started, shown = await lab.come_back()
    bob = lab.tailnet.registry.add_user("bob")
    await lab.tailnet.approve(lab.auth_id, bob)
    assert (await lab.confirm(started, shown)).reason == "login-decided"
    assert [node.user_id for node in lab.tailnet.registry.nodes.values()] == [bob]


async def test_the_person_who_says_no_turns_the_device_away(lab: Lab) -> None:
    await lab.begin()
    waiting = lab.device.follow_soon(lab.url)
    started, shown = await lab.come_back()
    refused = await lab.confirm(started, shown, approve=False)
    assert (refused.state, refused.reason, refused.final) == (REFUSED, "device-not-mine", True)
    assert "not their device" in (await waiting).refused


async def test_a_denial_is_final_and_told_to_the_device(lab: Lab) -> None:
    await lab.begin()
    _, shown = await lab.come_back(code=None, error="access_denied", error_description="no <b>way</b>\n")
    assert (shown.reason, shown.final) == ("access-denied", True)
    assert "denied access: no <b>way</b>" in (await lab.device.follow(lab.url)).refused


async def test_a_suspended_user_is_told_and_so_is_the_device(lab: Lab) -> None:
    user = lab.tailnet.registry.add_user("alice", provider_id=f"{lab.provider.issuer}/s1", suspended=True)
    await lab.begin()
    _, shown = await lab.come_back()
    assert (shown.reason, shown.final) == ("user-suspended", True) and user
    assert "suspended" in (await lab.device.follow(lab.url)).refused
