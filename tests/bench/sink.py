"""A mail server that throws mails away: `python -m tests.bench.sink` prints its port.

A line on its standard input is a delay in seconds: from then on mails are counted anew, and each is answered so long
after its end. An empty line asks what was counted. Connections do not wait for each other.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

END = b"\r\n.\r\n"
ANSWERS = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 33554432\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}


@dataclass
class Count:
    delay: float = 0
    recipients: Counter[bytes] = field(default_factory=Counter)
    # When the first mail's sender was named, and the last mail was answered.
    first: float = 0
    last: float = 0

    def told(self) -> dict[str, float]:
        mails = self.recipients.total()
        return {"mails": mails, "recipients": len(self.recipients), "seconds": self.last - self.first}


class Conversation(asyncio.Protocol):
    count = Count()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.buffer = b""
        self.in_mail = False
        self.recipient = b""
        self.transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.in_mail or b"\r\n" in self.buffer:
            if not self.in_mail:
                line, _, self.buffer = self.buffer.partition(b"\r\n")
                self.obey(line)
            elif END in self.buffer:
                self.buffer = self.buffer.partition(END)[2]
                self.in_mail = False
                self.accept()
            else:
                return

    def obey(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"MAIL":
            self.count.first = self.count.first or time.monotonic()
        elif verb == b"RCPT":
            self.recipient = line
        self.in_mail = verb == b"DATA"
        self.transport.write(ANSWERS.get(verb, b"250 ok\r\n"))
        if verb == b"QUIT":
            self.transport.close()

    def accept(self) -> None:
        if self.count.delay:
            asyncio.get_running_loop().call_later(self.count.delay, self.answer, self.count)
        else:
            self.answer(self.count)

    def answer(self, count: Count) -> None:
        count.recipients[self.recipient] += 1
        count.last = time.monotonic()
        self.transport.write(b"250 taken\r\n")


class Commands(asyncio.Protocol):
    def __init__(self) -> None:
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            if line:
                Conversation.count = Count(float(line))
            else:
                print(json.dumps(Conversation.count.told()), flush=True)

    def connection_lost(self, error: Exception | None) -> None:
        asyncio.get_running_loop().stop()


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Conversation, "127.0.0.1", 0, backlog=1000)
    await loop.connect_read_pipe(Commands, sys.stdin)
    print(server.sockets[0].getsockname()[1], flush=True)


if __name__ == "__main__":
    running = asyncio.new_event_loop()
    running.run_until_complete(serve())
    running.run_forever()
