"""Messages to people, in the two forms that clients read."""

from __future__ import annotations

import orjson

from services.shared.tailcfg.display_message import DisplayMessage, all_messages, changed_messages

ONE = DisplayMessage("One", "first", "high", impacts_connectivity=True, url="https://a.example", label="Go")
TWO = DisplayMessage("Two", "second")


def read(member: bytes) -> object:
    return orjson.loads(b"{" + member + b"}")


def test_all_messages_replace_what_was_shown() -> None:
    assert read(all_messages({"one": ONE}, 117)) == {
        "DisplayMessages": {
            "*": None,
            "one": {
                "Title": "One",
                "Text": "first",
                "Severity": "high",
                "ImpactsConnectivity": True,
                "PrimaryAction": {"URL": "https://a.example", "Label": "Go"},
            },
        }
    }
    assert read(all_messages({}, 117)) == {"DisplayMessages": {"*": None}}


def test_a_change_names_what_is_new_other_or_gone() -> None:
    other = DisplayMessage("One", "otherwise")
    assert read(changed_messages({"one": ONE, "two": TWO, "same": TWO}, {"one": other, "same": TWO}, 130)) == {
        "DisplayMessages": {"one": {"Title": "One", "Text": "otherwise", "Severity": "medium"}, "two": None}
    }


def test_older_clients_get_one_text_because_they_show_the_last_of_several_only() -> None:
    assert read(all_messages({"one": ONE, "two": TWO}, 116)) == {"Health": ["One: first | Two: second"]}
    assert read(changed_messages({"one": ONE}, {}, 116)) == {"Health": []}
