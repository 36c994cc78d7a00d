"""The section `derpMap`: what clients could not use is refused where it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.policy.model.compiler import compile_policy
from services.policy.model.text.problems import PolicyError

NODE = {"HostName": "derp.example.net"}


def derp(section: Any) -> Any:
    return json.loads(compile_policy(json.dumps({"derpMap": section})).policy.derp_map)


def test_a_region_is_kept_in_the_spelling_of_the_wire_with_its_names_filled_in() -> None:
    node = {"name": "x", "hostname": "h", "ipv4": "192.0.2.1", "stunport": -1, "DerpPort": 8443, "CanPort80": True}
    region = {"regionid": 901, "RegionCode": "lab", "latitude": 51.5, "nodes": [node, NODE]}
    assert derp({"regions": {"901": region, "1": None}, "homeParams": {"regionScore": {"901": 0.5}}}) == {
        "Regions": {
            "901": {
                "RegionID": 901,
                "RegionCode": "lab",
                "RegionName": "lab",
                "Latitude": 51.5,
                "Nodes": [
                    {
                        "Name": "x",
                        "RegionID": 901,
                        "HostName": "h",
                        "IPv4": "192.0.2.1",
                        "STUNPort": -1,
                        "DERPPort": 8443,
                        "CanPort80": True,
                    },
                    {"Name": "9011", "RegionID": 901, "HostName": "derp.example.net"},
                ],
            },
            "1": None,
        },
        "HomeParams": {"RegionScore": {"901": 0.5}},
    }


def test_yaml_says_the_same() -> None:
    text = "derpMap:\n  OmitDefaultRegions: true\n  Regions:\n    901:\n      RegionID: 901\n      Nodes:\n"
    policy = compile_policy(text + "        - HostName: h\n          DERPPort: 8443\n", name="p.yaml").policy
    region = json.loads(policy.derp_map)["Regions"]["901"]
    assert region["Nodes"] == [{"Name": "9010", "RegionID": 901, "HostName": "h", "DERPPort": 8443}]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ([], "derpMap: expected an object, got list"),
        ({"Regions": []}, "derpMap.Regions: expected an object, got list"),
        ({"Regions": {"0": None}}, 'invalid region id: "0"'),
        ({"Regions": {"nine": None}}, 'invalid region id: "nine"'),
        ({"Regions": {"901": {}}}, "a region needs at least one node"),
        ({"Regions": {"901": {"Nodes": [{}]}}}, "derpMap.Regions[901].Nodes[0]: HostName must be specified"),
        ({"Regions": {"901": {"Nodes": ["h"]}}}, "derpMap.Regions[901].Nodes[0]: expected an object, got string"),
        ({"Regions": {"901": {"RegionID": 902, "Nodes": [NODE]}}}, "RegionID must be 901"),
        ({"Regions": {"901": {"Nodes": [NODE | {"DERPPort": 70000}]}}}, "expected a port from 0 to 65535"),
        ({"Regions": {"901": {"Nodes": [NODE | {"STUNPort": "3478"}]}}}, "expected a port from -1 to 65535"),
        ({"Regions": {"901": {"Nodes": [NODE | {"Port": 1}]}}}, 'unknown field: "Port"'),
        ({"Regions": {"901": {"Nodes": [NODE | {"Name": "a"}] * 2}}}, 'two nodes are named "a"'),
        ({"Regions": {"901": {"Nodes": [NODE], "Latitude": "north"}}}, "Latitude: expected a number"),
        ({"OmitDefaultRegions": True, "Regions": {"1": None}}, "no other region is given"),
        ({"HomeParams": {"RegionScore": {"901": "fast"}}}, "expected a number, got string"),
    ],
)
def test_a_map_that_clients_could_not_use_is_refused_with_its_line(section: Any, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        compile_policy(json.dumps({"derpMap": section}, indent=1))
    assert any(message in line and "(line " in line for line in caught.value.lines), caught.value.lines
