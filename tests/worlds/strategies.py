"""Hypothesis strategies for the words of proxy.oci: every value they draw is one the parsers accept."""

from __future__ import annotations

from hypothesis import strategies as st

from proxy.oci import operation as o
from proxy.oci.limits import Limits
from proxy.oci.reference import Digest, Repository, Tag, parse_digest, parse_repository, parse_tag

_LOWER = "abcdefghijklmnopqrstuvwxyz0123456789"
_LETTERS = _LOWER + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Words of the paths themselves are names like any other, and the ones most easily misread.
WORDS = ("blobs", "manifests", "tags", "list", "uploads", "referrers", "v2")


def repositories() -> st.SearchStrategy[Repository]:
    """Draw repository names, with the words of our own paths among their components."""
    run = st.text(_LOWER, min_size=1, max_size=5)
    joined = st.tuples(run, st.sampled_from(["-", "--", ".", "_", "__"]), run).map("".join)
    component = st.one_of(st.sampled_from(WORDS), run, joined)
    return st.lists(component, min_size=1, max_size=5).map("/".join).map(parse_repository)


def tags() -> st.SearchStrategy[Tag]:
    """Draw tags, the words of our own paths among them."""
    first, rest = st.sampled_from(_LETTERS + "_"), st.text(_LETTERS + "_.-", max_size=20)
    return st.one_of(st.sampled_from(WORDS), st.tuples(first, rest).map("".join)).map(parse_tag)


def digests() -> st.SearchStrategy[Digest]:
    """Draw sha256 and sha512 digests."""
    short = st.binary(min_size=32, max_size=32).map(lambda b: f"sha256:{b.hex()}")
    long = st.binary(min_size=64, max_size=64).map(lambda b: f"sha512:{b.hex()}")
    return st.one_of(short, long).map(parse_digest)


def manifest_digests() -> st.SearchStrategy[Digest]:
    """Draw digests that manifests are known by."""
    return st.binary(min_size=32, max_size=32).map(lambda b: parse_digest(f"sha256:{b.hex()}"))


def references() -> st.SearchStrategy[Tag | Digest]:
    """Draw tags and digests of manifests."""
    return st.one_of(tags(), manifest_digests())


def sessions() -> st.SearchStrategy[str]:
    """Draw upload sessions as registries name them."""
    text = st.text(_LETTERS + "._=~-", min_size=1, max_size=60).filter(lambda s: s not in {".", ".."})
    return st.one_of(st.uuids().map(str), st.sampled_from(WORDS), text)


def states(taken: frozenset[str] = frozenset({"digest"})) -> st.SearchStrategy[o.Query]:
    """Draw an upstream's own parameters, encoded as it encoded them, none of them a name that is `taken`."""
    escape = st.integers(0, 255).map(lambda n: f"%{n:02X}")
    value = st.lists(st.one_of(st.sampled_from(_LETTERS + "-._~!$'()*+,:@/?="), escape), max_size=20).map("".join)
    key = st.text(_LETTERS + "_-", min_size=1, max_size=10).filter(lambda name: name.lower() not in taken)
    return st.lists(st.tuples(key, value), max_size=4).map(tuple)


def operations() -> st.SearchStrategy[o.Operation]:
    """Draw every operation of the sum type."""
    head, name, digest = st.booleans(), repositories(), digests()
    count = st.none() | st.integers(0, Limits().list_entries)
    text = st.text([chr(c) for c in range(0x21, 0x7F)], min_size=1, max_size=30)
    last, page = st.none() | text, states(frozenset({"artifacttype", "ns", "origin"}))
    several = st.lists(tags(), max_size=4, unique=True).map(tuple)
    return st.one_of(
        st.builds(o.CheckApi, head),
        st.builds(o.ListRepositories, count, last),
        st.builds(o.ListTags, name, count, last),
        st.builds(o.ListReferrers, name, manifest_digests(), st.none() | text, page),
        st.builds(o.PullManifest, name, references(), head),
        st.builds(o.PushManifest, name, tags()),
        st.builds(o.PushManifest, name, manifest_digests(), several),
        st.builds(o.DeleteManifest, name, references()),
        st.builds(o.PullBlob, name, digest, head),
        st.builds(o.DeleteBlob, name, digest),
        st.builds(o.StartUpload, name, st.none() | digest),
        st.builds(o.StartUpload, name, st.none() | digest, digest, st.none() | name),
        st.builds(o.UploadChunk, name, sessions(), states()),
        st.builds(o.FinishUpload, name, sessions(), digest, states()),
        st.builds(o.UploadStatus, name, sessions(), states(), head),
        st.builds(o.Options, st.builds(o.PullManifest, name, references()) | st.builds(o.ListTags, name)),
        st.builds(o.Options, st.builds(o.UploadStatus, name, sessions(), states())),
        st.builds(o.CancelUpload, name, sessions(), states()),
    )
