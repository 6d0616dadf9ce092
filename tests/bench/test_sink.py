import smtplib
import threading
from collections.abc import Iterator

import pytest

from tests.bench.sink import Conversation
from tests.bench.stand import Sink

MESSAGE = "Subject: x\r\n\r\nA line\r\n.\r\n..\r\nthe end"


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    yield server
    server.stop()


def send(sink: Sink, *recipients: str) -> None:
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as client:
        for recipient in recipients:
            client.sendmail("a@example.org", [recipient], MESSAGE)


def test_it_counts_mails_and_recipients(sink: Sink) -> None:
    send(sink, "b@example.org", "c@example.org", "b@example.org")

    found = sink.counted()
    assert (found["mails"], found["recipients"]) == (3, 2)


def test_it_counts_anew(sink: Sink) -> None:
    send(sink, "b@example.org")

    sink.count_anew(0)

    assert sink.counted() == {"mails": 0, "recipients": 0, "seconds": 0}


def test_seconds_are_from_the_begin_of_the_first_to_the_answer_to_the_last(sink: Sink) -> None:
    sink.count_anew(0.2)

    send(sink, "b@example.org", "c@example.org")

    assert sink.counted()["seconds"] >= 0.4


def test_connections_do_not_wait_for_each_other(sink: Sink) -> None:
    # All are under way before the first is answered, or the barrier breaks.
    barrier = threading.Barrier(8, timeout=30)
    sink.count_anew(0.5)

    def work() -> None:
        with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as client:
            barrier.wait()
            client.sendmail("a@example.org", ["b@example.org"], MESSAGE)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = sink.counted()
    assert found["mails"] == 8
    assert found["seconds"] < 8 * 0.5


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.written.append(b"closed")


def conversation() -> tuple[Conversation, list[bytes]]:
    transport, ours = Transport(), Conversation()
    ours.connection_made(transport)  # type: ignore[arg-type]
    return ours, transport.written


def test_what_arrives_in_pieces_is_put_together() -> None:
    ours, written = conversation()

    for byte in b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n":
        ours.data_received(bytes([byte]))

    assert written == [
        b"220 sink\r\n",
        b"250 ok\r\n",
        b"250 ok\r\n",
        b"354 go on\r\n",
        b"250 taken\r\n",
        b"221 bye\r\n",
        b"closed",
    ]


def test_what_arrives_at_once_is_taken_apart() -> None:
    ours, written = conversation()

    ours.data_received(b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nx\r\n.\r\nRSET\r\nNOOP\r\n")

    assert written[-3:] == [b"250 taken\r\n", b"250 ok\r\n", b"250 ok\r\n"]
