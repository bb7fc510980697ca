"""Every difference between a registry and the proxy in front of it, with its reason. What is not here is a fault.

`docs/reference/differences.md` is made of this table (`python -m tests.test_docs_differences`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.interop.differential.difference import ALL, CLOSED, DEBIAN, DISTRIBUTION, GO, MEMORY, Difference

_ANY = "(GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE)"


def unexplained(lines: Iterable[str], registry: str, like: str = "") -> tuple[list[str], list[str]]:
    """Return the lines that no difference of that registry explains, and the expressions that explain none.

    What explains a line at the registry that it is `like` may do so here, and need not.
    """
    waiting = _expressions(registry)
    needed: set[str] = set()
    left = []
    for line in lines:
        found = [one for one, pattern in {**waiting, **_expressions(like)}.items() if pattern.fullmatch(line)]
        needed.update(found)
        left += [] if found else [line]
    return left, [one for one in waiting if one not in needed]


def _expressions(registry: str) -> dict[str, re.Pattern[str]]:
    here = [some for each in DIFFERENCES for at, some in each.lines.items() if registry in at]
    return {one: re.compile(one) for some in here for one in some}


DIFFERENCES = (
    Difference(
        "Answers have `Server`, `X-Request-Id`, `X-Content-Type-Options` and `Content-Security-Policy`.",
        "The id finds a request in log and journal; the others keep browsers from running what lies in a registry, "
        "which would run at the origin of the proxy's own pages.",
        {ALL: (r".* \| header (server|x-request-id|x-content-type-options|content-security-policy): none => .*",)},
    ),
    Difference(
        "Every answer of the registry API has `Docker-Distribution-Api-Version`.",
        "docker takes it for the sign of a registry.",
        {(MEMORY,): (r".* \| header docker-distribution-api-version: none => registry/2\.0",)},
    ),
    Difference(
        "`Location` is a path, not a whole URL.",
        "Clients add it to the address they used, which is the proxy's by whatever name they call it.",
        {GO: (r".* \| header location: http://HOST(/.*) => \1",)},
    ),
    Difference(
        "A manifest that was pushed has a `Location`.",
        "distribution-spec 1.1 asks for it.",
        {(MEMORY,): (r"push .* \| header location: none => /v2/REPOSITORY/manifests/.*",)},
    ),
    Difference(
        "Errors are JSON with a code of the distribution specification, also where the registry answers a line of "
        "text, nothing, or a code of its own.",
        "Clients show the first error's message; of a text they show that it cannot be read. What the registry refuses "
        "in this form passes as it came; what the proxy refuses before it asks has the proxy's words.",
        {
            ALL: (
                r".* \| header content-type: text/plain; charset=utf-8 => application/json",
                r".* \| words: .* => \{\"errors\": \[\{\"code\": .*",
            )
        },
    ),
    Difference(
        "The type of a refusal made by the proxy is `application/json`, without a charset.",
        "JSON has one (RFC 8259).",
        {(DEBIAN,): (r".* \| header content-type: application/json; charset=utf-8 => application/json",)},
    ),
    Difference(
        "Methods that an endpoint does not have are refused with 405 everywhere, with those it has in `Allow`.",
        "The registry answers 200, 400 or 404 to some of them; 405 is what they are (RFC 9110). A method that no "
        "server knows is refused before its path is looked at.",
        {
            ALL: (
                r"(POST|PUT|PATCH|TRACE|LOCK|DELETE) (api|/v2/) \| status: 200 .* => 405 UNSUPPORTED",
                r"(BREW|get) .* \| status: \d+ .* => 400 UNKNOWN",
                rf"{_ANY} (uploads|/v2/REPOSITORY/blobs/uploads/).* \| status: 40[04] \w+ => 405 UNSUPPORTED",
                r"HEAD .* \| status: 40[04] no codes => 405 no codes",
            ),
            GO: (
                r".* \| body: (Method not allowed|404 page not found) => \{\"errors\": .*",
                r"\w+ (referrers.*|/v2/REPOSITORY/referrers/.*) \| status: 404 no codes => 405 UNSUPPORTED",
                r"(POST|TRACE|LOCK) upload unknown \| status: 404 BLOB_UPLOAD_INVALID => 405 UNSUPPORTED",
                r"(TRACE|LOCK) uploads \| header allow: DELETE, GET, HEAD, PATCH, POST, PUT => POST",
            ),
            (MEMORY,): (
                r"(POST|PUT|PATCH|TRACE|LOCK|DELETE) .* \| status: 400 METHOD_UNKNOWN => 405 UNSUPPORTED",
                r"(BREW|get) .* \| codes: METHOD_UNKNOWN => UNKNOWN",
                r"(BREW|get) .* \| header connection: none => close",
            ),
        },
    ),
    # Passwords
    Difference(
        "A password is asked for in the proxy's name, a token at the proxy's own address.",
        "Clients log in at the host they use, and at no other.",
        {(CLOSED,): (r".* \| header www-authenticate: Basic realm=\"test registry\" => Basic realm=\"countersign\"",)},
    ),
    Difference(
        "What is no operation is refused before a password is asked for, and referrers after it.",
        "The proxy knows nobody: who may do what is the registry's to say, of what it is asked.",
        {
            (CLOSED,): (
                r".* by (nobody|\w+ password|no header) \| status: 401 .* => 405 .*",
                r"GET referrers.* by \w+.* \| status: 404 no codes => 401 UNAUTHORIZED",
            )
        },
    ),
    # Paths
    Difference(
        "Paths are read as they were sent: nothing is decoded, collapsed or redirected. Names, tags and digests that "
        "the specification does not have are refused with its codes.",
        "What one server decodes and the next does not is how a policy is gone around. Nothing in a path of this "
        "protocol needs an escape.",
        {
            ALL: (
                rf"{_ANY} (name|slash|colon|tag|null).* \| status: .* => 400 (NAME_INVALID|MANIFEST_INVALID|no codes)",
                rf"{_ANY} (digest|blob|referrers of a tag|uploads w).* \| \w+: .*(DIGEST_INVALID|400 no codes)",
                r"(push to a tag that is none|delete of no reference) \| status: (404|201) .* => 400 MANIFEST_INVALID",
            ),
            GO: (
                rf"{_ANY} (tags|catalog|manifest) with slash \| status: 301 .* => 404 (NAME_UNKNOWN|no codes)",
                rf"{_ANY} name with (two slashes|a dot segment) \| status: 301 .* => 400 (NAME_INVALID|no codes)",
            ),
            (MEMORY,): (
                rf"{_ANY} .* \| codes: METHOD_UNKNOWN => (NAME_UNKNOWN|NAME_INVALID|DIGEST_INVALID|MANIFEST_INVALID)",
                r"OPTIONS manifests alone \| status: 400 METHOD_UNKNOWN => 404 NAME_UNKNOWN",
                r"GET manifests alone \| codes: MANIFEST_UNKNOWN => NAME_UNKNOWN",
            ),
        },
    ),
    Difference(
        "`/v2` without the slash is answered as `/v2/`.",
        "The registry redirects there: one request less.",
        {GO: (rf"{_ANY} api without slash \| status: 301 .* => 200 no codes",)},
    ),
    Difference(
        "Outside of `/v2/` and at `/` are pages of the proxy.",
        "They say what this is and explain decisions.",
        {ALL: (rf"({_ANY}|OPTIONS) (root|version 1) \| .*",)},
    ),
    Difference(
        "Manifests asked for by sha512 are refused with 403 and words.",
        "Signatures name sha256; see ADR 0041.",
        {ALL: (rf"{_ANY} digest by sha512 \| status: .* => 403 (UNSUPPORTED|no codes)",)},
    ),
    Difference(
        "A whole URL as the target is refused where its host is not the one in `Host`.",
        "Clients send the same in both; where they differ, one was meant for somebody else.",
        {
            ALL: (rf"{_ANY} .*, absolute of another host \| status: .* => 400 (NAME_INVALID|no codes)",),
            (MEMORY,): (r"HEAD tags, absolute of another host \| header connection: none => close",),
        },
    ),
    Difference(
        "`OPTIONS *` is refused.",
        "It asks about a server, not about a registry.",
        {ALL: (r"OPTIONS \* \| status: 200 .* => 400 NAME_INVALID",)},
    ),
    # Queries
    Difference(
        "A parameter that comes twice, an escape that is none and a semicolon between parameters are refused.",
        "Parsers differ in which value counts and where it ends.",
        {ALL: (rf"{_ANY} .*, query (.* twice|escape that is none|semicolon) \| (status|codes): .* => .*UNSUPPORTED",)},
    ),
    Difference(
        "An `n` that is no number is refused.",
        "The registry ignores it or answers with a code of its own.",
        {ALL: (r"GET catalog, query n (below zero|no number|huge) \| (status|codes): .* => .*UNSUPPORTED",)},
    ),
    Difference(
        "An `n` above `limits.list_entries` asks for that many.",
        "The registry names its own bound in its refusal; the page that comes leads to the next.",
        {GO: (r"GET catalog, query n many \| words: .*100000.* => .*10000.*",)},
    ),
    Difference(
        "Lists of tags: an `n` that is no number is refused.",
        "As above.",
        {ALL: (r"GET tags( of nobody)?, query n (below zero|no number|huge) \| (status|codes): .* => .*UNSUPPORTED",)},
    ),
    Difference(
        "Lists of tags are in order, and `n` and `last` hold.",
        "The registry ignores them; see `docs/registries.md`, Lists of tags.",
        {
            (DEBIAN,): (
                r"GET tags(,.*)? \| body: .*",
                r"GET tags, query (n|last) .* \| header content-length: .*",
                r"GET tags, query last \| header content-length: .*",
            ),
            (CLOSED,): (r"GET tags by alice \| body: .*",),
        },
    ),
    Difference(
        "A page of tags has a link to the next one.",
        "The registry cuts the list without saying so.",
        {(DEBIAN, MEMORY): (r"GET tags, query n .* \| header link: none => .*",)},
    ),
    Difference(
        "A page of tags that is cut here ends with a line feed.",
        "distribution's do.",
        {(MEMORY,): (r"GET tags, query (n .*|last) \| header content-length: .*",)},
    ),
    Difference(
        "No tags come behind a `last` that no tag is behind.",
        "The registry takes a `last` that it does not know for none, and lists all.",
        {(MEMORY,): (r"GET tags, query last at the end \| (body|header content-length): .*",)},
    ),
    Difference(
        "Tags of a repository that is not there are 404, whatever `n` and `last` say.",
        "The registry answers an empty list with some of them, and 404 without.",
        {(DISTRIBUTION,): (r"GET tags of nobody, query (n zero|last.*|n and last) \| status: 200 no codes => 404 .*",)},
    ),
    # Manifests
    Difference(
        "A manifest is never converted, and comes also where `Accept` does not name its type.",
        "A converted one has another digest and no signature; the registry answers 404 or 400 there.",
        {GO: (rf"{_ANY} (manifest|index|docker).*, Accept .* \| status: 40[04] .* => 200 no codes",)},
    ),
    Difference(
        "`If-None-Match` also counts when it is weak, a list or `*`.",
        "RFC 9110 13.1.2.",
        {ALL: (rf"{_ANY} (manifest|index|docker).*, If-None-Match .* \| status: 200 no codes => 304 no codes",)},
    ),
    Difference(
        "304 has the headers that 200 would have.",
        "RFC 9110 15.4.5.",
        {GO: (rf"{_ANY} manifest .*, If-None-Match .* \| header (content-type|docker-\S+|etag): none => .*",)},
    ),
    Difference(
        "Manifests have an `ETag`.",
        "So that a client need not fetch again what it has.",
        {(MEMORY,): (r".* \| header etag: none => \".*\"",)},
    ),
    Difference(
        "A pushed manifest is what its own `mediaType` says; a missing `Content-Type`, or a general one, does not "
        "matter.",
        "The type in a header is not signed.",
        {
            GO: (
                r"push (without type|as plain JSON) \| status: 400 MANIFEST_INVALID => 201 no codes",
                r"push: tags \| .*",
            )
        },
    ),
    Difference(
        "An empty object that is pushed as a manifest is refused as no manifest.",
        "The registry answers 500.",
        {GO: (r"push of an empty object \| status: 500 UNKNOWN => 400 MANIFEST_INVALID",)},
    ),
    Difference(
        "What is no manifest, and a manifest under a digest that is another's, is refused.",
        "This registry takes anything.",
        {
            (MEMORY,): (
                r"push (with another type|as an index|of .*) \| status: 201 .* => 400 (MANIFEST|DIGEST)_INVALID",
                r"push: tags \| .*",
            )
        },
    ),
    Difference(
        "A push that has a subject is answered with `OCI-Subject`.",
        "The proxy lists it where clients look for it, before it answers.",
        {ALL: (r"push with a subject \| header oci-subject: none => .*",)},
    ),
    # Referrers
    Difference(
        "There is a referrers API.",
        "The proxy serves it from the tags that clients keep where a registry has none.",
        {GO: (r"GET referrers.* \| status: 404 no codes => 200 no codes",)},
    ),
    # Blobs
    Difference(
        "A layer is served in a repository where a manifest that passes lists it, and nowhere else.",
        "Policies hold for repositories; this registry gives every layer to everybody who names any repository.",
        {(MEMORY,): (rf"{_ANY} blob of nobody.* \| status: \d+ .* => 403 (DENIED|no codes)",)},
    ),
    Difference(
        "412 and 416 come whole, without a text that breaks off, and are not to be kept for a year.",
        "The registry sends the length and the `Cache-Control` of the layer with them, and then not that many bytes.",
        {
            GO: (
                rf"{_ANY} (blob|config), .* \| header cache-control: max-age=31536000 => none",
                r"GET (blob|config), .* \| body: .*\(broken off\) => ",
            )
        },
    ),
    # Uploads
    Difference(
        "Parameters of an upload that are no digest or no name are refused.",
        "The registry begins an ordinary upload then, and the client does not learn that it asked for something else.",
        {
            ALL: (
                r"mount (of no digest|from no name) \| status: 202 .* => 400 (DIGEST_INVALID|NAME_INVALID)",
                r"single POST, digest of nothing known \| (status|codes): .* => .*DIGEST_INVALID",
                r"(single POST|PUT), digest twice.* \| status: .* => .*",
            )
        },
    ),
    Difference(
        "An upload that is ended without a digest, or with one that is none, is refused for that first.",
        "The proxy reads the digest before it asks the registry.",
        {
            GO: (r"PUT upload unknown \| status: 404 BLOB_UPLOAD_INVALID => 400 DIGEST_INVALID",),
            (MEMORY,): (r"PUT, digest .* \| codes: NAME_INVALID => DIGEST_INVALID",),
        },
    ),
)
