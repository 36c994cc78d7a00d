"""What a database is, by the names in it."""

from __future__ import annotations

from services.shared.db.recognition import MIGRATIONS, Contents, Kind, judge, known_revisions

NODE = frozenset({"id", "machine_key", "node_key", "hostname", "given_name", "user_id", "host_info", "approved_routes"})
OLD = {
    "users": frozenset({"id"}),
    "pre_auth_keys": frozenset({"id"}),
    "api_keys": frozenset({"id"}),
    "nodes": NODE,
    "migrations": frozenset({"id"}),
}
STEPS = [(step, release) for release, steps in MIGRATIONS for step in steps]
OURS = {"registry_alembic_version": frozenset({"version_num"}), "registry_users": frozenset({"id"})}


def test_each_release_is_told_by_its_newest_step_and_a_missing_one_is_found() -> None:
    for number, (step, release) in enumerate(STEPS, 1):
        steps = tuple(step for step, _ in STEPS[:number])
        found = judge(Contents(OLD, steps))
        expected = "0.24 or 0.25" if step == "202502070949" else release
        assert (found.kind, found.release, found.schema, found.fault) == (Kind.HEADSCALE, expected, step, "")
        if number > 2:
            assert "half migrated" in judge(Contents(OLD, (*steps[:-2], steps[-1]))).fault


def test_a_database_that_0_28_made_new_lacks_the_oldest_steps() -> None:
    steps = ("SCHEMA_INIT", *(step for step, _ in STEPS[8:]))
    found = judge(Contents(OLD, steps, stamp="v0.29.2"))
    assert (found.release, found.fault) == ("0.30", "")  # an unstamped build leaves the stamp of the one before it
    upto = steps.index("202606181200-recover-null-tags-node-user-id") + 1
    assert judge(Contents(OLD, steps[:upto], stamp="v0.29.2")).release == "0.29.2"


def test_a_step_that_is_not_known_means_a_later_release() -> None:
    steps = (*(step for step, _ in STEPS), "203001010000-new")
    assert "later Headscale" in judge(Contents(OLD, steps)).fault


def test_our_tables_in_headscales_file_count_only_if_they_were_used() -> None:
    revisions = {"registry": max(known_revisions("registry"))}
    steps = tuple(step for step, _ in STEPS)
    both = {**OLD, **OURS}
    assert judge(Contents(both, steps, revisions=revisions)).kind is Kind.HEADSCALE
    assert judge(Contents(both, steps, revisions=revisions, our_ids=3)).kind is Kind.OURS


def test_ours_newer_other_and_empty() -> None:
    newest = max(known_revisions("registry"))
    assert judge(Contents(OURS, revisions={"registry": newest})).kind is Kind.OURS
    newer = judge(Contents(OURS, revisions={"registry": "9999"}))
    assert newer.kind is Kind.NEWER and "the tables of registry have version 9999" in newer.detail
    assert newer.release == ""
    made_by = {"registry": "9.1", "auth": "0.1"}
    recorded = Contents(OURS, revisions={"registry": "9999", "auth": "0001"}, made_by=made_by)
    assert judge(recorded).release == "9.1"
    assert judge(Contents({"recipes": frozenset()})).kind is Kind.OTHER
    assert judge(Contents({})).kind is Kind.EMPTY
    assert judge(Contents({"sqlite_sequence": frozenset(), "registry_users": frozenset()})).kind is Kind.EMPTY
