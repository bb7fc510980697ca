from typing import cast

from proxy.keys.resign import RESIGN
from proxy.overrides.sign_pending import SIGN_OWED
from proxy.policies.plan import PLAN
from proxy.server.job_kinds import works
from proxy.server.store import Store
from tests.worlds.admin import policies_of
from tests.worlds.conversation import world


async def test_every_kind_of_job_is_done_by_somebody() -> None:
    w = await world()
    assert set(works(lambda: w.ports, cast("Store", w.store), await policies_of(w, "file"))) == {
        RESIGN,
        SIGN_OWED,
        PLAN,
    }
