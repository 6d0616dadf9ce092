"""Prints which addresses and ports answer to a connection, or to a datagram, as JSON.

It runs on a lab's machine, on its Python alone.
"""

import asyncio
import json
import socket
import sys

# A port that is refused or dropped costs the stranger time, and nobody else.
SECONDS = 1.5
AT_ONCE = 500


async def main() -> None:
    addresses, ports = sys.argv[1].split(","), [int(port) for port in sys.argv[2].split(",")]
    limit, call = asyncio.Semaphore(AT_ONCE), {"tcp": knock, "udp": write}[sys.argv[3]]
    answers = await asyncio.gather(*(call(limit, address, port) for address in addresses for port in ports))
    print(json.dumps([answer for answer in answers if answer]))


async def knock(limit: asyncio.Semaphore, address: str, port: int) -> tuple[str, int] | None:
    async with limit:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), SECONDS)
        except (OSError, TimeoutError):
            return None
        writer.close()
        return address, port


async def write(limit: asyncio.Semaphore, address: str, port: int) -> tuple[str, int] | None:
    """Where no program listens the kernel says so, unless the firewall has dropped it."""
    async with limit:
        with socket.socket(type=socket.SOCK_DGRAM) as mine:
            mine.setblocking(False)
            mine.connect((address, port))
            mine.send(b"?")
            try:
                await asyncio.wait_for(asyncio.get_running_loop().sock_recv(mine, 1), SECONDS)
            except ConnectionRefusedError:
                return address, port
            except (OSError, TimeoutError):
                return None
            return address, port


asyncio.run(main())
