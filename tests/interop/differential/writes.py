"""Every write, as conversations: uploads of each form, well and badly done, mounts, pushes, deletions."""

from __future__ import annotations

import json

from deploy.layouts import digest_of
from tests.interop.differential.reads import NOBODY, TAKES
from tests.interop.differential.sides import Fields, Heard, Side
from tests.interop.wire import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

BYTES: Fields = (("Content-Type", "application/octet-stream"),)
ABSENT = "sha256:" + "1" * 64
EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def to(heard: Heard) -> str:
    """Where an upload goes on; somewhere unknown where it does not."""
    return heard.headers.get("location", "/v2/no/location/blobs/uploads/x")


def joined(place: str, digest: str) -> str:
    """That address with the digest that ends the upload."""
    return f"{place}{'&' if '?' in place else '?'}digest={digest}"


def start(side: Side, name: str, query: str = "") -> str:
    """Where a new upload goes on."""
    return to(side.ask(f"{name}: start", "POST", f"/v2/{side.repository}/blobs/uploads/{query}", body=b""))


def in_one_request(side: Side) -> None:
    """A blob by one POST, by POST and PUT, and ways to do it wrong."""
    at, data = f"/v2/{side.repository}/blobs", b"monolithic"
    digest = digest_of(data)
    side.ask("single POST", "POST", f"{at}/uploads/?digest={digest}", BYTES, data)
    side.ask("single POST: there", "HEAD", f"{at}/{digest}")
    side.ask("single POST of other bytes", "POST", f"{at}/uploads/?digest={digest}", BYTES, b"others")
    side.ask("single POST, digest encoded", "POST", f"{at}/uploads/?digest={digest.replace(':', '%3A')}", BYTES, data)
    side.ask("single POST, digest twice", "POST", f"{at}/uploads/?digest={digest}&digest={NOBODY}", BYTES, data)
    side.ask("single POST, no digest in it", "POST", f"{at}/uploads/?digest=", BYTES, data)
    side.ask("single POST, digest of nothing known", "POST", f"{at}/uploads/?digest=md5:abc", BYTES, data)
    side.ask("single POST, with a mount too", "POST", f"{at}/uploads/?digest={digest}&mount={NOBODY}", BYTES, data)
    side.ask("PUT", "PUT", joined(start(side, "PUT"), digest), BYTES, data)
    side.ask("PUT, no Content-Type", "PUT", joined(start(side, "PUT, no Content-Type"), digest), (), data)
    side.ask("PUT of nothing", "PUT", joined(start(side, "PUT of nothing"), EMPTY), BYTES, b"")
    chunked = (*BYTES, ("Transfer-Encoding", "chunked"))
    side.ask(
        "PUT, chunked", "PUT", joined(start(side, "PUT, chunked"), digest), chunked, b"a\r\nmonolithic\r\n0\r\n\r\n"
    )
    side.ask("PUT to an upload that is none", "PUT", joined(f"{at}/uploads/none", digest), BYTES, data)


def put_badly(side: Side) -> None:
    """Uploads that are ended wrongly, and what is left of them."""
    data = b"this"
    for name, query in {
        "wrong digest": f"digest={digest_of(b'other')}",
        "digest too short": "digest=sha256:short",
        "digest of another kind": "digest=md5:098f6bcd4621d373cade4e832627b4f6",
        "digest empty": "digest=",
        "digest missing": "",
        "digest twice": f"digest={digest_of(data)}&digest={digest_of(b'other')}",
        "digest by sha512": "digest=sha512:" + "0" * 128,
    }.items():
        place = start(side, f"PUT, {name}")
        side.ask(f"PUT, {name}", "PUT", f"{place}{'&' if '?' in place else '?'}{query}", BYTES, data)
        side.ask(f"PUT, {name}: status", "GET", place)
        side.ask(f"PUT, {name}: again, well", "PUT", joined(place, digest_of(data)), BYTES, data)


def streamed(side: Side) -> None:
    """One PATCH of everything, then PUT."""
    data = b"streamed" * 1000
    patched = side.ask("stream: PATCH", "PATCH", start(side, "stream"), BYTES, data)
    side.ask("stream: status", "GET", to(patched))
    side.ask("stream: HEAD of the status", "HEAD", to(patched))
    side.ask("stream: PUT", "PUT", joined(to(patched), digest_of(data)), BYTES, b"")
    side.ask("stream: there", "HEAD", f"/v2/{side.repository}/blobs/{digest_of(data)}")
    side.ask("stream: status afterwards", "GET", to(patched))
    again = side.ask(
        "stream, chunked: PATCH",
        "PATCH",
        start(side, "stream, chunked"),
        (*BYTES, ("Transfer-Encoding", "chunked")),
        b"4\r\nabcd\r\n0\r\n\r\n",
    )
    side.ask("stream, chunked: PUT", "PUT", joined(to(again), digest_of(b"abcd")), BYTES, b"")


def in_chunks(side: Side) -> None:
    """Ranges one after the other, and ranges that do not follow."""
    parts, place, begin = [b"a" * 1000, b"b" * 1000, b"c" * 500], start(side, "chunks"), 0
    for number, part in enumerate(parts[:2]):
        ranged = (*BYTES, ("Content-Range", f"{begin}-{begin + len(part) - 1}"))
        place = to(side.ask(f"chunks: PATCH {number}", "PATCH", place, ranged, part))
        side.ask(f"chunks: status {number}", "GET", place)
        begin += len(part)
    for name, spoken in {
        "too far": "7000-7499",
        "the same again": "0-499",
        "overlapping": "1500-1999",
        "with its unit": "bytes 2000-2499/*",
        "shorter than the body": "2000-2099",
        "longer than the body": "2000-9999",
        "backwards": "2499-2000",
        "no numbers": "a-b",
        "one number": "2000",
        "empty": "",
    }.items():
        if name in {"with its unit", "shorter than the body", "longer than the body", "empty"}:
            place_of = to(
                side.ask(f"chunks, {name}: begin", "PATCH", start(side, f"chunks, {name}"), BYTES, b"a" * 2000)
            )
        else:
            place_of = place
        side.ask(f"chunks, {name}", "PATCH", place_of, (*BYTES, ("Content-Range", spoken)), parts[2])
        side.ask(f"chunks, {name}: status", "GET", place_of)
    whole = b"".join(parts)
    side.ask(
        "chunks: PUT of the last",
        "PUT",
        joined(place, digest_of(whole)),
        (*BYTES, ("Content-Range", "2000-2499")),
        parts[2],
    )
    side.ask("chunks: there", "HEAD", f"/v2/{side.repository}/blobs/{digest_of(whole)}")


def cancelled(side: Side) -> None:
    """An upload is given up; it is over then, for every method."""
    place = to(side.ask("cancel: PATCH", "PATCH", start(side, "cancel"), BYTES, b"some"))
    side.ask("cancel: DELETE", "DELETE", place)
    side.ask("cancel: DELETE again", "DELETE", place)
    side.ask("cancel: status", "GET", place)
    side.ask("cancel: PATCH afterwards", "PATCH", place, BYTES, b"more")
    side.ask("cancel: PUT afterwards", "PUT", joined(place, digest_of(b"late")), BYTES, b"late")
    other = start(side, "cancel, from elsewhere")
    elsewhere = other.replace(side.repository, side.other)
    side.ask("cancel, from elsewhere: status", "GET", elsewhere)
    side.ask("cancel, from elsewhere: DELETE", "DELETE", elsewhere)
    side.ask("cancel, from elsewhere: still there", "GET", other)


def mounted(side: Side) -> None:
    """Blobs from another repository: there, not there, from nowhere in particular."""
    at, layer = f"/v2/{side.repository}/blobs/uploads/", side.found["mountable"]["digest"]
    side.ask("mount", "POST", f"{at}?mount={layer}&from={side.other}", body=b"")
    side.ask("mount: there", "HEAD", f"/v2/{side.repository}/blobs/{layer}")
    for name, query in {
        "of nothing": f"mount={NOBODY}&from={side.other}",
        "from nobody": f"mount={NOBODY}&from=no/such",
        "from anywhere": f"mount={NOBODY}",
        "from itself": f"mount={NOBODY}&from={side.repository}",
        "without what": f"from={side.other}",
        "of no digest": f"mount=abc&from={side.other}",
        "from no name": f"mount={NOBODY}&from=UPPER",
        "from an encoded name": f"mount={layer}&from={side.other.replace('/', '%2F')}",
    }.items():
        side.ask(f"mount {name}", "POST", f"{at}?{query}", body=b"")


def manifests(side: Side) -> None:
    """Manifests that are pushed, well and badly."""
    at = f"/v2/{side.repository}/manifests"
    config, layer = side.found["config"], side.found["layer"]
    good = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config,
        "layers": [layer],
        "annotations": {"a": "b"},
    }
    body = json.dumps(good).encode()
    of = (("Content-Type", OCI_MANIFEST),)
    side.ask("push by tag", "PUT", f"{at}/pushed", of, body)
    side.ask("push by tag, again", "PUT", f"{at}/pushed", of, body)
    side.ask("push by digest", "PUT", f"{at}/{digest_of(body)}", of, body)
    side.ask("push with charset", "PUT", f"{at}/charset", (("Content-Type", f"{OCI_MANIFEST}; charset=utf-8"),), body)
    side.ask("push without type", "PUT", f"{at}/typeless", (), body)
    side.ask("push with another type", "PUT", f"{at}/other-type", (("Content-Type", DOCKER_MANIFEST),), body)
    side.ask("push as an index", "PUT", f"{at}/as-index", (("Content-Type", OCI_INDEX),), body)
    side.ask("push as plain JSON", "PUT", f"{at}/as-json", (("Content-Type", "application/json"),), body)
    side.ask(
        "push chunked",
        "PUT",
        f"{at}/chunked",
        (*of, ("Transfer-Encoding", "chunked")),
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
    )
    side.ask("push of another digest", "PUT", f"{at}/{NOBODY}", of, body)
    side.ask("push to a tag that is none", "PUT", f"{at}/-dash", of, body)
    side.ask("push of nothing", "PUT", f"{at}/empty", of, b"")
    side.ask("push of no JSON", "PUT", f"{at}/no-json", of, b"{")
    side.ask("push of an empty object", "PUT", f"{at}/object", of, b"{}")
    lacking = json.dumps({**good, "layers": [{**layer, "digest": NOBODY}]}).encode()
    side.ask("push without its layer", "PUT", f"{at}/lacking", of, lacking)
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{**side.found["image"], "digest": ABSENT}]}
    )
    side.ask(
        "push of an index without its child", "PUT", f"{at}/lacking", (("Content-Type", OCI_INDEX),), index.encode()
    )
    side.ask("push with If-None-Match", "PUT", f"{at}/pushed", (*of, ("If-None-Match", "*")), body)
    side.ask("push with If-Match of another", "PUT", f"{at}/pushed", (*of, ("If-Match", '"sha256:0"')), body)
    subject = json.dumps({**good, "subject": side.found["image"]}).encode()
    side.ask("push with a subject", "PUT", f"{at}/{digest_of(subject)}", of, subject)
    side.ask("push: there", "GET", f"{at}/pushed", TAKES)
    side.ask("push: tags", "GET", f"/v2/{side.repository}/tags/list")


def deleted(side: Side) -> None:
    """Deletions, each of which is over when it is answered."""
    at = f"/v2/{side.repository}"
    image, docker = side.found["image"]["digest"], side.found["docker"]["digest"]
    side.ask("delete by tag", "DELETE", f"{at}/manifests/2")
    side.ask("delete by tag: gone", "GET", f"{at}/manifests/2", TAKES)
    side.ask("delete by tag, again", "DELETE", f"{at}/manifests/2")
    side.ask("delete by digest", "DELETE", f"{at}/manifests/{docker}")
    side.ask("delete by digest: gone", "HEAD", f"{at}/manifests/{docker}", TAKES)
    side.ask("delete by digest: its tag", "HEAD", f"{at}/manifests/docker", TAKES)
    side.ask("delete by digest, again", "DELETE", f"{at}/manifests/{docker}")
    side.ask("delete of nothing", "DELETE", f"{at}/manifests/{NOBODY}")
    side.ask("delete of no reference", "DELETE", f"{at}/manifests/-x")
    side.ask("delete with If-Match of another", "DELETE", f"{at}/manifests/{image}", (("If-Match", '"sha256:0"'),))
    layer = side.found["spare"]["digest"]
    side.ask("delete a blob", "DELETE", f"{at}/blobs/{layer}")
    side.ask("delete a blob: gone", "GET", f"{at}/blobs/{layer}")
    side.ask("delete a blob, again", "DELETE", f"{at}/blobs/{layer}")
    side.ask("delete a blob of nobody", "DELETE", f"/v2/no/such/blobs/{layer}")
    for place in ("/v2/", "/v2/_catalog", f"{at}/tags/list", f"{at}/blobs/uploads/", f"{at}/referrers/{image}"):
        side.ask(f"DELETE {place.replace(side.repository, 'REPOSITORY').replace(image, 'DIGEST')}", "DELETE", place)


WRITES = (in_one_request, put_badly, streamed, in_chunks, cancelled, mounted, manifests, deleted)
