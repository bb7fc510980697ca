from datetime import UTC, datetime

from proxy.policies.revision import PolicyRevision

AT = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_a_revision_is_named_for_people() -> None:
    made = PolicyRevision(7, "p", "text", "h", AT, "erika", "socket", "bad night")
    assert made.name == "revision 7 of the policies (by erika, 2026-01-02 12:00Z: bad night)"
    assert "text" not in repr(made)


def test_its_hash_never_changes() -> None:
    """Stored revisions are checked against it: another way to make it needs a migration."""
    made = PolicyRevision(1, "", "policies: []\n", "h", AT, "e", "s", "r")
    assert made.hash == "c4d9cd937672edcf2ed7b2d47b6594b80bb8db014afcbd49e7cea92bbec9a49c"
