"""How long the key of a device lasts whose person signed in."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.sign_in import REFUSED, Lab


async def test_the_key_of_the_node_ends_as_configured(lab: Lab) -> None:
    await lab.begin(expiry=timedelta(days=3))
    started, shown = await lab.come_back()
    await lab.confirm(started, shown)
    ends = lab.tailnet.registry.admissions[-1].expiry.ToDatetime(tzinfo=lab.tailnet.clock.now().tzinfo)
    assert ends == lab.tailnet.clock.now() + timedelta(days=3)


async def test_an_expiry_of_zero_keeps_the_device_for_ever_whatever_other_nodes_have(lab: Lab) -> None:
    await lab.begin(expiry=timedelta(0))
    await lab.confirm(*await lab.come_back())
    admission = lab.tailnet.registry.admissions[-1]
    assert admission.no_expiry and not admission.HasField("expiry")
    await lab.new_device()
    await lab.confirm(*await lab.come_back())
    assert lab.tailnet.config.node.expiry and lab.tailnet.registry.admissions[-1].no_expiry


async def test_an_expiry_that_no_calendar_holds_means_for_ever(lab: Lab) -> None:
    await lab.begin(expiry=timedelta(days=9000 * 365))
    await lab.confirm(*await lab.come_back())
    assert lab.tailnet.registry.admissions[-1].no_expiry


async def test_who_says_yes_after_the_token_ended_must_begin_again(lab: Lab) -> None:
    await lab.begin(use_expiry_from_token=True)
    started, shown = await lab.come_back()
    lab.tailnet.clock.advance(timedelta(minutes=11))
    after = await lab.confirm(started, shown)
    assert (after.state, after.reason, after.final) == (REFUSED, "token-expired", False)
    assert not lab.tailnet.registry.nodes


async def test_the_key_of_the_node_ends_with_the_token_where_that_is_wanted(lab: Lab) -> None:
    await lab.begin(use_expiry_from_token=True)
    started, shown = await lab.come_back()
    await lab.confirm(started, shown)
    assert lab.tailnet.registry.admissions[-1].expiry.seconds == int(lab.tailnet.clock.now().timestamp()) + 600
