"""What upstream refuses is relayed as its own refusal."""

from __future__ import annotations

from proxy.oci.operation import PullBlob
from proxy.oci.reference import digest_of
from tests.worlds.conversation import REPO, world
from tests.worlds.images import image
from tests.worlds.registry_words import Said, Seen


async def test_a_range_beyond_the_end_is_416_although_upstream_breaks_off_in_its_text() -> None:
    """Debian's docker-registry 2.8 sends such a reply with the length of the whole blob."""
    w = await world()
    await w.push(image(), "team/app", "v1")
    layer = digest_of(image().blobs[0])

    def beyond(seen: Seen, said: Said) -> Said:
        if not isinstance(seen.operation, PullBlob) or seen.operation.head:
            return said
        return Said(416, (("content-range", "bytes */98"), ("content-length", "98")), b"invalid range")

    w.registry.lies.append(beyond)
    w.registry.cuts[PullBlob] = 3
    answer = await w.say(PullBlob(REPO, layer), range="bytes=999-")
    assert answer.status == 416
    assert dict(answer.headers) == {"content-range": "bytes */98"}
    assert answer.body == b""
