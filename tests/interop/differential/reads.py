"""Every read: each place with each method, each header and each query."""

from __future__ import annotations

import base64

from tests.interop.differential.sides import Fields, Side
from tests.interop.wire import DOCKER_LIST, DOCKER_MANIFEST, EVERY_KIND, OCI_INDEX, OCI_MANIFEST

NOBODY = "sha256:" + "0" * 64
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
TAKES: Fields = tuple(EVERY_KIND.items())
ORIGIN = ("Origin", "http://ui.example")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "TRACE", "LOCK", "BREW", "get")


def places(side: Side) -> dict[str, str]:
    """Every endpoint by a name, with things that are there and things that are not."""
    at = f"/v2/{side.repository}"
    found = {name: each["digest"] for name, each in side.found.items()}
    return {
        "api": "/v2/",
        "catalog": "/v2/_catalog",
        "tags": f"{at}/tags/list",
        "tags of nobody": "/v2/no/such/tags/list",
        "manifest by tag": f"{at}/manifests/1",
        "manifest by digest": f"{at}/manifests/{found['image']}",
        "index by tag": f"{at}/manifests/multi",
        "docker manifest": f"{at}/manifests/docker",
        "docker list": f"{at}/manifests/list",
        "manifest missing by tag": f"{at}/manifests/none",
        "manifest missing by digest": f"{at}/manifests/{NOBODY}",
        "manifest of nobody": "/v2/no/such/manifests/1",
        "blob": f"{at}/blobs/{found['layer']}",
        "config": f"{at}/blobs/{found['config']}",
        "blob missing": f"{at}/blobs/{NOBODY}",
        "blob of nobody": f"/v2/no/such/blobs/{found['layer']}",
        "referrers": f"{at}/referrers/{found['image']}",
        "referrers of nothing": f"{at}/referrers/{NOBODY}",
        "uploads": f"{at}/blobs/uploads/",
        "upload unknown": f"{at}/blobs/uploads/00000000-0000-0000-0000-000000000000",
    }


ODD = {
    "api without slash": "/v2",
    "root": "/",
    "version 1": "/v1/",
    "repository alone": "/v2/REPOSITORY",
    "repository with slash": "/v2/REPOSITORY/",
    "manifests alone": "/v2/REPOSITORY/manifests/",
    "blobs alone": "/v2/REPOSITORY/blobs/",
    "uploads without slash": "/v2/REPOSITORY/blobs/uploads",
    "tags alone": "/v2/REPOSITORY/tags",
    "tags with slash": "/v2/REPOSITORY/tags/list/",
    "catalog with slash": "/v2/_catalog/",
    "manifest with slash": "/v2/REPOSITORY/manifests/1/",
    "name in capitals": "/v2/REPOSITORY/UPPER/manifests/1",
    "name with a dot at its end": "/v2/REPOSITORY./manifests/1",
    "name with two slashes": "/v2//REPOSITORY/manifests/1",
    "name with a dot segment": "/v2/REPOSITORY/../x/manifests/1",
    "name encoded": "/v2/%70lain/x/manifests/1",
    "slash encoded": "/v2/plain%2Fx/manifests/1",
    "tag encoded": "/v2/REPOSITORY/manifests/%31",
    "colon encoded": "/v2/REPOSITORY/manifests/sha256%3A" + "0" * 64,
    "tag too long": "/v2/REPOSITORY/manifests/" + "t" * 129,
    "tag as long as may be": "/v2/REPOSITORY/manifests/" + "t" * 128,
    "tag with a plus": "/v2/REPOSITORY/manifests/1+2",
    "digest too short": "/v2/REPOSITORY/manifests/sha256:abc",
    "digest in capitals": "/v2/REPOSITORY/manifests/sha256:" + "A" * 64,
    "digest of another kind": "/v2/REPOSITORY/manifests/md5:" + "0" * 32,
    "digest by sha512": "/v2/REPOSITORY/manifests/sha512:" + "0" * 128,
    "blob by tag": "/v2/REPOSITORY/blobs/1",
    "blob digest too short": "/v2/REPOSITORY/blobs/sha256:abc",
    "referrers of a tag": "/v2/REPOSITORY/referrers/1",
    "name too long": "/v2/" + "n" * 256 + "/manifests/1",
    "name of one letter": "/v2/n/manifests/1",
    "null byte": "/v2/REPOSITORY/manifests/%00",
}


def headers(side: Side) -> dict[str, Fields]:
    """Every header by a name; conditions are about the image's digest and the layer's."""
    image, layer = (side.found[name]["digest"] for name in ("image", "layer"))
    accepts = {
        "anything": "*/*",
        "oci manifest": OCI_MANIFEST,
        "oci index": OCI_INDEX,
        "docker manifest": DOCKER_MANIFEST,
        "docker list": DOCKER_LIST,
        "schema 1": SCHEMA_1,
        "html": "text/html",
        "weights": f"{OCI_MANIFEST};q=0.2, {DOCKER_MANIFEST};q=0.9, */*;q=0.1",
        "empty": "",
    }
    ranges = {
        "begin": "bytes=0-3",
        "middle": "bytes=2-5",
        "to the end": "bytes=4-",
        "end": "bytes=-4",
        "more than all": "bytes=0-999999",
        "end longer than all": "bytes=-999999",
        "two": "bytes=0-1,4-5",
        "two that overlap": "bytes=0-3,2-5",
        "beyond": "bytes=999999-",
        "nothing at the end": "bytes=-0",
        "backwards": "bytes=5-2",
        "another unit": "items=0-1",
        "no numbers": "bytes=a-b",
        "no value": "",
        "spaces": "bytes= 0-3",
    }
    conditions = {
        "If-None-Match": {
            "the image": f'"{image}"',
            "the layer": f'"{layer}"',
            "weak image": f'W/"{image}"',
            "weak layer": f'W/"{layer}"',
            "bare image": image,
            "bare layer": layer,
            "list with the image": f'"x", "{image}"',
            "list with the layer": f'"x", "{layer}"',
            "another": '"sha256:0"',
            "anything": "*",
            "empty": "",
        },
        "If-Match": {"the layer": f'"{layer}"', "the image": f'"{image}"', "another": '"sha256:0"', "anything": "*"},
    }
    found: dict[str, Fields] = {"Accept none": ()}
    found |= {f"Accept {name}": (("Accept", value),) for name, value in accepts.items()}
    found["Accept twice"] = (("Accept", OCI_INDEX), ("Accept", OCI_MANIFEST))
    found |= {f"Range {name}": (*TAKES, ("Range", value)) for name, value in ranges.items()}
    for header, values in conditions.items():
        found |= {f"{header} {name}": (*TAKES, (header, value)) for name, value in values.items()}
    part = ("Range", "bytes=2-5")
    found |= {
        "If-None-Match twice": (*TAKES, ("If-None-Match", '"x"'), ("If-None-Match", f'"{layer}"')),
        "Range if the layer": (*TAKES, part, ("If-Range", f'"{layer}"')),
        "Range if another": (*TAKES, part, ("If-Range", '"sha256:0"')),
        "Range if as old": (*TAKES, part, ("If-Range", "Wed, 21 Oct 2015 07:28:00 GMT")),
        "Range twice": (*TAKES, part, ("Range", "bytes=0-0")),
        "Range unless the layer": (*TAKES, part, ("If-None-Match", f'"{layer}"')),
        "If-Modified-Since past": (*TAKES, ("If-Modified-Since", "Wed, 21 Oct 2015 07:28:00 GMT")),
        "If-Modified-Since future": (*TAKES, ("If-Modified-Since", "Wed, 21 Oct 2099 07:28:00 GMT")),
        "If-Unmodified-Since past": (*TAKES, ("If-Unmodified-Since", "Wed, 21 Oct 2015 07:28:00 GMT")),
        "Accept-Encoding": (*TAKES, ("Accept-Encoding", "gzip, zstd, br")),
        "Cookie": (*TAKES, ("Cookie", "a=b")),
        "Origin": (*TAKES, ORIGIN),
        "Content-Type": (*TAKES, ("Content-Type", "application/json")),
        "unknown header": (*TAKES, ("X-Nobody-Knows", "x")),
        "unknown header, empty": (*TAKES, ("X-Nobody-Knows", "")),
        "method in a header": (*TAKES, ("X-HTTP-Method-Override", "DELETE")),
    }
    return found


QUERIES = {
    "empty": "",
    "only ampersands": "&&",
    "unknown": "x=y",
    "unknown, no value": "x",
    "mirror": "ns=docker.io",
    "n one": "n=1",
    "n two": "n=2",
    "n zero": "n=0",
    "n below zero": "n=-1",
    "n no number": "n=abc",
    "n empty": "n=",
    "n huge": "n=99999999999999999999",
    "n many": "n=100000",
    "n twice": "n=1&n=2",
    "n encoded": "%6E=1",
    "last": "last=1",
    "last at the end": "last=zzz",
    "last empty": "last=",
    "n and last": "n=1&last=1",
    "artifact type": "artifactType=application%2Fexample",
    "artifact type with a plus": "artifactType=application/example+json",
    "artifact type empty": "artifactType=",
    "artifact type twice": "artifactType=a&artifactType=b",
    "escape that is none": "n=%zz",
    "semicolon": "n=1;last=1",
    "digest": "digest=" + NOBODY,
}


def every_method(side: Side) -> None:
    """Each place with each method, none of which may change anything here."""
    for place, target in places(side).items():
        for method in METHODS:
            if (method == "PUT" and "/manifests/" in target) or (method == "PATCH" and "/uploads/0" in target):
                continue  # some registries take anything for a manifest, and begin any upload
            side.ask(f"{method} {place}", method, target, TAKES, b"" if method in {"POST", "PUT", "PATCH"} else None)


def every_header(side: Side) -> None:
    """GET and HEAD of each place with each header."""
    for place, target in places(side).items():
        for name, fields in headers(side).items():
            for method in ("GET", "HEAD"):
                side.ask(f"{method} {place}, {name}", method, target, fields)


def every_query(side: Side) -> None:
    """GET and HEAD of each place with each query."""
    for place, target in places(side).items():
        for name, query in QUERIES.items():
            side.ask(f"GET {place}, query {name}", "GET", f"{target}?{query}", TAKES)
        side.ask(f"HEAD {place}, query unknown", "HEAD", f"{target}?x=y", TAKES)


def odd_paths(side: Side) -> None:
    """What no client should send, and some do."""
    for name, target in ODD.items():
        for method in ("GET", "HEAD", "OPTIONS"):
            side.ask(f"{method} {name}", method, target.replace("REPOSITORY", side.repository), TAKES)


def old_and_absolute(side: Side) -> None:
    """HTTP/1.0, the whole URL as the target, and connections that are to be closed."""
    for place in ("api", "manifest by tag", "manifest missing by tag", "blob", "tags"):
        target = places(side)[place]
        for method in ("GET", "HEAD"):
            side.ask(f"{method} {place}, HTTP/1.0", method, target, TAKES, version="1.0")
            keep = (*TAKES, ("Connection", "keep-alive"))
            side.ask(f"{method} {place}, HTTP/1.0 kept", method, target, keep, version="1.0")
            side.ask(f"{method} {place}, closed", method, target, (*TAKES, ("Connection", "close")))
            whole = f"http://{side.host}{target}"
            side.ask(f"{method} {place}, absolute", method, whole, TAKES, absolute=True)
            side.ask(
                f"{method} {place}, absolute of another host", method, f"http://x.example{target}", TAKES, absolute=True
            )
            side.ask(f"{method} {place}, another Host", method, target, TAKES, host="x.example")
    side.ask("OPTIONS *", "OPTIONS", "*")
    side.ask("GET with a body", "GET", places(side)["manifest by tag"], TAKES, b"a body")


def preflights(side: Side) -> None:
    """What a browser asks before it lets a page read or delete."""
    for place, target in places(side).items():
        for method in ("GET", "HEAD", "DELETE"):
            asks = (
                ("Access-Control-Request-Method", method),
                ("Access-Control-Request-Headers", "authorization,accept"),
            )
            side.ask(f"preflight of {method} {place}", "OPTIONS", target, (ORIGIN, *asks))


def basic(name: str, password: str) -> tuple[str, str]:
    """The header of somebody who logs in."""
    return "Authorization", "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


ALICE = basic("alice", "secret")
CALLERS: dict[str, Fields] = {
    "alice": (ALICE,),
    "nobody": (),
    "wrong password": (basic("alice", "wrong"),),
    "token password": (("Authorization", "Bearer x"),),
    "odd password": (("Authorization", "odd"),),
    "no header": (("Authorization", ""),),
}


def every_caller(side: Side) -> None:
    """Each place by each caller, who may or may not."""
    for who, fields in CALLERS.items():
        for place, target in places(side).items():
            for method in ("GET", "HEAD", "OPTIONS", *(("POST", "DELETE") if who != "alice" else ())):
                body = b"" if method == "POST" else None
                side.ask(f"{method} {place} by {who}", method, target, (*TAKES, *fields), body)


READS = (every_method, every_header, every_query, odd_paths, old_and_absolute, preflights)
