"""Prints which addresses and ports answer to a connection, as JSON. It runs on a lab's machine, on its Python alone."""

import asyncio
import json
import sys

# A port that is refused or dropped costs the stranger time, and nobody else.
SECONDS = 1.5
AT_ONCE = 500


async def main() -> None:
    addresses, ports = sys.argv[1].split(","), [int(port) for port in sys.argv[2].split(",")]
    limit = asyncio.Semaphore(AT_ONCE)
    answers = await asyncio.gather(*(knock(limit, address, port) for address in addresses for port in ports))
    print(json.dumps([answer for answer in answers if answer]))


async def knock(limit: asyncio.Semaphore, address: str, port: int) -> tuple[str, int] | None:
    async with limit:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), SECONDS)
        except (OSError, TimeoutError):
            return None
        writer.close()
        return address, port


asyncio.run(main())
