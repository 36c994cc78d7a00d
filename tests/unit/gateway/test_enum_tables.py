"""Tables from enums of the protos are exhaustive: a value that is added must get an entry."""

from collections.abc import Mapping

import pytest
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from gateway.edge.tunnel_phase import TRANSITIONS, Phase
from gateway.machine.attachment import REASONS, REFUSALS
from gateway.machine.session_state import READINGS, STAGES, Reading, Stage


@pytest.mark.parametrize(("enum", "table"), [(pb.EndReason, REASONS), (pb.RefusalReason, REFUSALS)])
def test_a_table_has_each_value_of_its_proto_enum(enum, table: Mapping[int, object]) -> None:
    assert set(table) == set(enum.values())


def test_each_end_of_a_session_has_a_name_of_its_own() -> None:
    named = [reason for number, reason in REASONS.items() if number != pb.END_REASON_UNSPECIFIED]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize(("enum", "table"), [(Phase, TRANSITIONS), (Stage, STAGES), (Reading, READINGS)])
def test_a_transition_table_has_each_state_and_leads_to_states_only(enum, table) -> None:
    assert set(table) == set(enum)
    assert {state for row in table.values() for state in row.values()} <= set(enum)
