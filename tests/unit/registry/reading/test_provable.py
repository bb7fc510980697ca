import pytest

from proxy.oci.faults import Unavailable
from proxy.registry.reading.provable import names_proven
from tests.worlds.registry import MemoryRegistry, Said, Seen


@pytest.mark.parametrize(
    ("statuses", "proven"),
    [((401,), True), ((200, 401), True), ((200, 200), False), ((500,), None), ((200, 503), None)],
)
async def test_a_name_is_proven_where_a_made_up_one_is_refused(statuses: tuple[int, ...], proven: bool | None) -> None:
    registry, left = MemoryRegistry(), list(statuses)
    registry.hooks.append(lambda _: Said(left.pop(0), ()))
    assert await names_proven(registry) is proven
    assert left == []


async def test_who_does_not_answer_says_nothing() -> None:
    def silent(_: Seen) -> Said:
        raise Unavailable("asleep")

    registry = MemoryRegistry()
    registry.hooks.append(silent)
    assert await names_proven(registry) is None
