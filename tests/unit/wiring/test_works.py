from typing import cast

from proxy.flows.resign import RESIGN
from proxy.flows.sign_owed import SIGN_OWED
from proxy.store import Store
from proxy.wiring.admin_desk.policy_plan import PLAN
from proxy.wiring.works import works
from tests.worlds.admin import policies_of
from tests.worlds.conversation import world


async def test_every_kind_of_job_is_done_by_somebody() -> None:
    w = await world()
    assert set(works(lambda: w.ports, cast("Store", w.store), await policies_of(w, "file"))) == {
        RESIGN,
        SIGN_OWED,
        PLAN,
    }
