"""Extra records, names and name servers: the form that clients use, or the reason why they cannot."""

from __future__ import annotations

import pytest

from services.shared.documents import DocumentError, check_records
from services.shared.documents.names import domain_name, host_name, name_server


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Foo.Example", "foo.example"),
        (".corp.example.", "corp.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("straße.de", "xn--strae-oqa.de"),
        ("_acme-challenge.x", "_acme-challenge.x"),
        ("10.in-addr.arpa", "10.in-addr.arpa"),
    ],
)
def test_names_are_lower_case_and_a_labels(text: str, name: str) -> None:
    assert domain_name(text) == name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (".", "is empty"),
        ("*.example", "has a wildcard"),
        ("a..b", "is not a domain name"),
        ("a b", "is not a domain name"),
        ("-a.example", "is not a domain name"),
        ("a" * 64, "is not a domain name"),
        (".".join(["a" * 60] * 5), "is longer than 253 characters"),
        ("\u202ea.example", "is not a domain name"),
    ],
)
def test_what_is_no_name_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        domain_name(text)


@pytest.mark.parametrize(
    "text",
    ["1.1.1.1", "2606:4700::1111", "10.0.0.1:5353", "[fd00::1]:53", "https://dns.nextdns.io/abc", "100.100.100.100"],
)
def test_name_servers_that_clients_use_stay_as_they_are(text: str) -> None:
    assert name_server(f" {text} ") == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dns.example.com", "is neither an IP address nor an https:// URL"),
        ("tls://1.1.1.1", "is a tls:// address, which clients do not support"),
        ("QUIC://dns.example", "is a quic:// address"),
        ("http://1.1.1.1/dns-query", "is a http:// address"),
        ("https://", "is no https:// URL with a host"),
        ("https://x:0/", "is no https:// URL with a host"),
        ("0.0.0.0", "is an address that nothing answers at"),
        ("fe80::1%eth0", "is neither"),
        ("1.1.1.1:0", "is neither"),
        ("1.1.1.1:99999999", "is neither"),
        ("::1:53:", "is neither"),
        ("", "is neither"),
    ],
)
def test_name_servers_that_no_client_can_use_say_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        name_server(text)


def test_a_host_is_a_name_or_an_address() -> None:
    assert [host_name(text) for text in ("A.Example", "192.0.2.1", "2001:DB8::1")] == [
        "a.example", "192.0.2.1", "2001:db8::1",
    ]  # fmt: skip


def test_records_that_clients_take_are_kept_and_each_other_one_is_named() -> None:
    records, findings = check_records(
        [
            {"name": "A.B", "type": "A", "value": "192.0.2.1"},
            {"Name": "c.d", "value": "192.0.2.2"},
            {"name": "six.d", "type": "a", "value": "2001:DB8::1"},
            {"name": "e.f", "type": "CNAME", "value": "x"},
            {"name": "g.h", "type": "A", "value": "not-an-ip"},
            {"name": "*.i", "type": "A", "value": "192.0.2.3"},
            {"name": 7, "value": "192.0.2.3"},
            {"name": "z.z", "value": "fe80::1%eth0"},
            "text",
        ]
    )
    assert records == (("a.b", "A", "192.0.2.1"), ("c.d", "A", "192.0.2.2"), ("six.d", "AAAA", "2001:db8::1"))
    assert [str(finding) for finding in findings] == [
        'record 4 ("e.f") is of type CNAME, and clients know only A and AAAA',
        'record 5 ("g.h") has a value that is no IP address',
        'record 6 ("*.i") has a name that has a wildcard, which clients do not resolve',
        "record 7 has a name that is not text",
        'record 8 ("z.z") has an address with a zone, which means nothing to other machines',
        "record 9 is not an object",
    ]


@pytest.mark.parametrize("document", [{}, None, "x", [{}] * 10_001])
def test_what_is_no_list_of_records_is_refused(document: object) -> None:
    with pytest.raises(DocumentError, match=r"is not a list|more than 10000"):
        check_records(document)
