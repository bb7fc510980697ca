"""ATTACK 34: what crashes leaves no secret on the disk; and ATTACK 28: files do not run out before connections do."""

from __future__ import annotations

import asyncio
import json
import sys

LIMITED = """
import json, resource
from proxy.server.process import bound_process
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))
bound_process()
print(json.dumps([resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""


async def test_the_process_that_serves_dumps_no_core_and_may_open_files() -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", LIMITED, stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    assert json.loads(said) == [[0, 0], [512, 512]]
