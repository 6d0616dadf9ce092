"""`python3 -m visitors`: the plan is the first line of the input, and the load ends with the input.

Debian's own Python runs it, in a container of the lab that has all the visitors' addresses.
"""

import asyncio
import json
import sys
import threading

from .crowd import Crowd, Plan


async def main() -> None:
    crowd = Crowd(Plan(**json.loads(sys.stdin.readline())), sys.stdout)
    loop = asyncio.get_running_loop()

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(crowd.stop.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    await crowd.work()


asyncio.run(main())
