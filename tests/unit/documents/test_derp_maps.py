"""DERP maps of others: clients get what they can use; the rest is named with place and reason."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.shared.documents import DocumentError, check_derp_map, read_json, read_yaml
from services.shared.documents.bounded import MAX_BYTES, MAX_DEPTH, MAX_VALUES

NODE = {"Name": "900a", "HostName": "relay.example.net"}


def with_node(**fields: Any) -> dict[str, Any]:
    """A map of one region with one node."""
    return {"Regions": {"900": {"Nodes": [{**NODE, **fields}]}}}


def with_region(**fields: Any) -> dict[str, Any]:
    """A map of one region with other members."""
    return {"Regions": {"900": {"Nodes": [NODE], **fields}}}


def test_both_spellings_are_read_and_ids_follow_from_the_region() -> None:
    yaml = b"regions:\n  900:\n    regioncode: x\n    nodes: [{hostname: X.Example.net, stunport: 1}]\n  1: null\n"
    assert check_derp_map(read_yaml(yaml)).regions == {
        900: {
            "RegionID": 900,
            "RegionCode": "x",
            "RegionName": "x",
            "Nodes": [{"HostName": "x.example.net", "STUNPort": 1, "RegionID": 900, "Name": "900a"}],
        },
        1: None,
    }
    wire = {"RegionID": 900, "RegionCode": "a", "RegionName": "A", "Nodes": [{**NODE, "RegionID": 900}]}
    assert check_derp_map({"Regions": {"900": wire}}).regions == {900: wire}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (None, "is not a DERP map: want a mapping"),
        ([], "is not a DERP map: want a mapping"),
        ({"region": {}}, "it has no `regions`"),
        ({"Regions": None}, "it has no `regions`"),
        ({"Regions": []}, "`regions` is not a mapping"),
        ({"Regions": {str(number): None for number in range(1, 1002)}}, "more than 1000 regions"),
    ],
)
def test_what_is_no_derp_map_is_refused_whole(document: object, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        check_derp_map(document)


@pytest.mark.parametrize(
    ("document", "finding"),
    [
        ({"Regions": {"900": "hello"}}, "region 900 is not a mapping"),
        ({"Regions": {"x": {}}}, "region x has an id that is not a whole number"),
        ({"Regions": {"0": {}}}, "region 0 has an id that is not between 1 and 2147483647"),
        ({"Regions": {"9" * 30: {}}}, f"region {'9' * 30} has an id that is not a whole number"),
        ({"Regions": {"900": {}}}, "region 900 has no node that clients can use"),
        (with_region(RegionID=901), "region 900 has the RegionID 901"),
        (with_region(RegionName=["a"]), "region 900 has a RegionName that is not text"),
        (with_region(regioncode="a\nb"), "region 900 has a RegionCode that is too long or has control characters"),
        (with_region(Nodes={}), "region 900 has a Nodes that is not a list"),
        (with_region(Nodes=[NODE] * 101), "region 900 has a Nodes that has more than 100 items"),
        (with_region(avoid="yes"), "region 900 has a Avoid that is neither true nor false"),
        (with_region(latitude="north"), "region 900 has a Latitude that is not a number of degrees"),
        (with_region(Nodes=["x"]), "region 900, node 1 is not a mapping"),
        (with_region(Nodes=[NODE, NODE]), "region 900, node 2 has the Name 900a of another node"),
        (with_node(RegionID=7), "region 900, node 1 has the RegionID 7"),
        (with_node(HostName=""), "region 900, node 1 has no HostName"),
        (with_node(HostName="a b"), "region 900, node 1 has a HostName that is not a domain name"),
        (with_node(DERPPort="443"), "region 900, node 1 has a DERPPort that is not a port from 0 to 65535"),
        (with_node(STUNPort=-2), "region 900, node 1 has a STUNPort that is not a port from -1 to 65535"),
        (with_node(STUNPort=1.5), "region 900, node 1 has a STUNPort that is not a port from -1 to 65535"),
        (with_node(IPv4="::1"), "region 900, node 1 has a IPv4 that is no IPv4 address"),
        (with_node(ipv6="nowhere"), "region 900, node 1 has a IPv6 that is no IP address"),
        (with_node(CanPort80=1), "region 900, node 1 has a CanPort80 that is neither true nor false"),
    ],
)
def test_each_part_that_no_client_can_use_is_named_and_left_out(document: object, finding: str) -> None:
    found = check_derp_map(document)
    assert finding in map(str, found.findings)
    whole = {number: region for number, region in found.regions.items() if region}
    assert all(len(region["Nodes"]) == 1 for region in whole.values() if isinstance(region["Nodes"], list))


JUNK = st.sampled_from(
    [None, True, -1, 0, 443, 1 << 70, 1.5, float("nan"), "", "a.example", "\n", [], [1], {}, {"a": 1}]
)
_WORDS = ["RegionID", "RegionCode", "Name", "HostName", "DERPPort", "STUNPort", "STUNOnly", "IPv4", "hostname", "avoid"]
_MEMBERS = st.dictionaries(st.sampled_from(_WORDS), JUNK, max_size=4)
_REGIONS = st.builds(lambda region, nodes: {**region, "Nodes": nodes}, _MEMBERS, st.lists(_MEMBERS, max_size=2))
_TYPES = {
    "RegionID": int, "RegionCode": str, "RegionName": str, "Latitude": (int, float), "Longitude": (int, float),
    "Avoid": bool, "NoMeasureNoHome": bool, "Name": str, "HostName": str, "CertName": str, "IPv4": str, "IPv6": str,
    "STUNPort": int, "STUNOnly": bool, "DERPPort": int, "InsecureForTests": bool, "STUNTestIP": str, "CanPort80": bool,
}  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["1", "900", "x", "-1"]), _REGIONS | JUNK, max_size=2))
def test_whatever_a_document_holds_clients_get_the_types_that_they_decode(regions: dict[Any, Any]) -> None:
    for number, region in check_derp_map({"regions": regions}).regions.items():
        if region is None:
            continue
        orjson.dumps(region)
        nodes = region["Nodes"]
        assert isinstance(nodes, list) and nodes
        for entity in (region, *nodes):
            members = {name: value for name, value in entity.items() if name != "Nodes"}
            assert all(isinstance(value, _TYPES[name]) for name, value in members.items())  # type: ignore[arg-type]
            assert entity["RegionID"] == number
        assert all(node["HostName"] for node in nodes)


@pytest.mark.parametrize(
    ("read", "text", "reason"),
    [
        (read_json, b"[" * 5000, "is not JSON|is nested too deeply"),
        (read_json, b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "is nested deeper than 32 levels"),
        (read_json, b"{", r"is not JSON: .* \(line 1, column 2\)"),
        (read_json, b"\xff", "is not JSON"),
        (read_json, b" " * (MAX_BYTES + 1), "is larger than 4 MiB"),
        (read_json, b"[" + b"1," * MAX_VALUES + b"1]", "has more than 200000 values"),
        (read_json, b"[1e400]", "is not JSON|out of range"),
        (read_yaml, b"[" * 5000, r"is nested deeper than 32 levels \(line 1\)"),
        (read_yaml, b"a: &x 1\nb: *x\n", r"uses an anchor \(line 2\); write the values out"),
        (read_yaml, b"a: [\n", r"is not YAML: .* \(line 2\)"),
        (read_yaml, b"\xff\xfe\xfa", "is not YAML"),
        (read_yaml, b"a: " + b"9" * 5000, "holds a value that cannot be read"),
        (read_yaml, b"a: " + b"9" * 30, "holds a number that is out of range"),
        (read_yaml, b"a: .inf", "holds a number that is out of range"),
        (read_yaml, b"a: !!python/object:os.system x", "is not YAML"),
    ],
)
def test_texts_without_bounds_are_refused_with_a_reason(read: Any, text: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        read(text)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (read_json, read_yaml):
        try:
            orjson.dumps(read(data))
        except DocumentError as error:
            assert str(error)
        except orjson.JSONEncodeError:
            pytest.fail("what was read cannot be written")
