"""The hash chain of the audit log: whatever is changed, removed, moved or added shows."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.auth.model.audit import Anchor, ChainedEntry, hash_of, verify


def chain(bodies: list[bytes]) -> list[ChainedEntry]:
    links: list[ChainedEntry] = []
    for seq, body in enumerate(bodies, start=1):
        previous = links[-1].hash if links else Anchor().hash
        links.append(ChainedEntry(seq, body, hash_of(previous, seq, body)))
    return links


BODIES = st.lists(st.binary(max_size=8), min_size=1, max_size=8)


@given(BODIES, st.data())
def test_whatever_is_done_to_a_log_shows(bodies: list[bytes], data: st.DataObject) -> None:
    links = chain(bodies)
    head = Anchor(links[-1].seq, links[-1].hash)
    assert verify(Anchor(), links, head).first_wrong == 0
    at = data.draw(st.integers(0, len(links) - 1))
    forged = [*links]
    forged[at] = replace(links[at], body=links[at].body + b"x")
    rehashed = [*links]
    rehashed[at] = replace(
        forged[at], hash=hash_of(links[at - 1].hash if at else Anchor().hash, at + 1, forged[at].body)
    )
    for damaged in (links[:at] + links[at + 1 :], forged, rehashed, [*links, replace(links[-1], seq=len(links) + 1)]):
        assert verify(Anchor(), damaged, head).first_wrong > 0


@given(BODIES, st.data())
def test_a_log_that_lost_its_oldest_part_verifies_from_there(bodies: list[bytes], data: st.DataObject) -> None:
    links = chain(bodies)
    at = data.draw(st.integers(1, len(links)))
    start, head = Anchor(at, links[at - 1].hash), Anchor(links[-1].seq, links[-1].hash)
    assert verify(start, links[at:], head).first_wrong == 0
    assert verify(Anchor(at, "0" * 64), links[at:], head).first_wrong > 0
