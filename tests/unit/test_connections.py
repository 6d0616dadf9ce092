import smtplib
from io import BytesIO
from typing import Any

from django.test import SimpleTestCase

from core.connections import Connection, TLSConnection

SENDER, BO, AL = "noreply@example.org", "bo@example.org", "al@example.org"
MESSAGE = b"Subject: x\r\n\r\n.dots\r\n..\r\n.\r\nthe end"
ON_THE_WIRE = b"Subject: x\r\n\r\n..dots\r\n...\r\n..\r\nthe end\r\n.\r\n"
OK, GO_ON, LATER, LEAVING, NOBODY = "250 ok", "354 go on", "451 later", "421 leaving", "550 no such user"
NO_ORDER = "503 out of order"


class Wire:
    """A socket whose other end has said already what it will say."""

    def __init__(self, replies: list[str]) -> None:
        self.replies = BytesIO("".join(f"{reply}\r\n" for reply in replies).encode())
        self.written: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.written.append(data)

    def makefile(self, mode: str) -> BytesIO:
        return self.replies

    def close(self) -> None:
        pass


def connected(*replies: str, pipelining: bool = True) -> tuple[Any, Wire]:
    connection, wire = Connection(), Wire(list(replies))
    vars(connection).update(sock=wire, ehlo_resp=b"ok", does_esmtp=True)
    connection.esmtp_features = {"pipelining": ""} if pipelining else {}
    return connection, wire


def refusal(connection: Connection, *recipients: str) -> smtplib.SMTPException:
    try:
        connection.sendmail(SENDER, recipients, MESSAGE)
    except smtplib.SMTPException as error:
        return error
    raise AssertionError("Nothing was refused")


class PipeliningTests(SimpleTestCase):
    def test_a_mail_takes_two_round_trips(self) -> None:
        connection, wire = connected(OK, OK, OK, GO_ON, OK)
        connection.sendmail(SENDER, [BO, AL], MESSAGE)

        commands = f"mail FROM:<{SENDER}>\r\nrcpt TO:<{BO}>\r\nrcpt TO:<{AL}>\r\ndata\r\n"
        self.assertEqual(wire.written, [commands.encode(), ON_THE_WIRE])
        self.assertTrue(connection.accepted)

    def test_a_server_that_does_not_offer_it_is_asked_one_by_one(self) -> None:
        connection, wire = connected(OK, OK, GO_ON, OK, pipelining=False)
        connection.sendmail(SENDER, BO, MESSAGE)

        self.assertEqual([written.split(b" ")[0] for written in wire.written[:3]], [b"mail", b"rcpt", b"data\r\n"])
        self.assertEqual(wire.written[3], ON_THE_WIRE)
        self.assertTrue(connection.accepted)

    def test_what_is_refused_is_refused_as_one_by_one(self) -> None:
        for one_by_one, together in (
            ([LATER, OK], [LATER, NO_ORDER, NO_ORDER, OK]),
            ([LATER, OK], [LATER, NO_ORDER, GO_ON, NOBODY, OK]),
            ([LEAVING], [LEAVING]),
            ([OK, NOBODY, OK], [OK, NOBODY, NO_ORDER, OK]),
            ([OK, NOBODY, OK], [OK, NOBODY, GO_ON, NOBODY, OK]),
            ([OK, LEAVING], [OK, LEAVING]),
            ([OK, OK, LATER], [OK, OK, LATER, OK]),
            ([OK, OK, GO_ON, NOBODY, OK], [OK, OK, GO_ON, NOBODY, OK]),
            ([OK, OK], [OK, OK]),
        ):
            with self.subTest(together):
                plain, _ = connected(*one_by_one, pipelining=False)
                connection, wire = connected(*together)
                first, error = refusal(plain, BO), refusal(connection, BO)
                self.assertEqual(repr(error), repr(first))
                self.assertEqual(vars(error), vars(first))
                self.assertEqual(connection.sock is None, plain.sock is None)
                # All that it said was heard.
                self.assertTrue(wire.replies.closed or not wire.replies.read())
                self.assertFalse(connection.accepted)

    def test_a_server_that_waits_for_a_mail_to_nobody_gets_an_empty_one(self) -> None:
        connection, wire = connected(OK, NOBODY, GO_ON, NOBODY, OK)
        refusal(connection, BO)

        self.assertEqual(wire.written[1:], [b".\r\n", b"rset\r\n"])

    def test_nobody_gets_an_empty_one_who_may_have_been_taken(self) -> None:
        """An answer that is neither yes nor no, and a mail that the server waits for all the same."""
        for replies in ([OK, "252 perhaps", GO_ON], ["252 perhaps", OK, GO_ON], ["what?", OK, GO_ON]):
            with self.subTest(replies):
                connection, wire = connected(*replies)
                refusal(connection, BO)

                self.assertEqual(len(wire.written), 1)
                self.assertIsNone(connection.sock)

    def test_an_address_that_stands_there_twice_gets_the_mail_where_it_is_taken_once(self) -> None:
        connection, wire = connected(OK, OK, LATER, GO_ON, OK)

        self.assertEqual(connection.sendmail(SENDER, [BO, BO], MESSAGE), {BO: (451, b"later")})
        self.assertEqual(wire.written[1], ON_THE_WIRE)

    def test_a_leave_that_is_taken_amid_the_recipients_is_a_refusal_of_the_others(self) -> None:
        told = []
        for pipelining in (False, True):
            connection, _ = connected(OK, OK, LEAVING, pipelining=pipelining)
            told.append(vars(refusal(connection, BO, AL)))

        self.assertEqual(told[0], told[1])

    def test_very_many_recipients_are_asked_for_one_by_one(self) -> None:
        connection, wire = connected(OK, *[OK] * 101, GO_ON, OK)
        connection.sendmail(SENDER, [BO] * 101, MESSAGE)

        self.assertEqual(len(wire.written), 1 + 101 + 2)

    def test_one_recipient_of_two_gets_the_mail_and_the_other_is_told_of(self) -> None:
        connection, wire = connected(OK, NOBODY, OK, GO_ON, OK)
        with self.assertLogs("core.connections", "WARNING") as logs:
            refused = connection.sendmail(SENDER, [BO, AL], MESSAGE)

        self.assertEqual(refused, {BO: (550, b"no such user")})
        self.assertEqual(wire.written[1], ON_THE_WIRE)
        self.assertEqual(logs.output, ["WARNING:core.connections:The mail server answered 550 no such user"])

    def test_a_server_that_ends_the_connection_before_it_has_the_mail_has_not_got_it(self) -> None:
        for replies in ([], [OK], [OK, OK], [LEAVING]):
            with self.subTest(replies):
                connection, wire = connected(*replies)
                refusal(connection, BO)

                self.assertFalse(connection.handed_over)
                self.assertEqual(len(wire.written), 1)

    def test_after_the_mail_it_may_have_it(self) -> None:
        connection, _ = connected(OK, OK, GO_ON)
        refusal(connection, BO)

        self.assertTrue(connection.handed_over)

    def test_what_cannot_be_said_leaves_the_connection_usable(self) -> None:
        connection, wire = connected("221 bye")
        with self.assertRaises(ValueError):
            connection.sendmail(SENDER, BO, MESSAGE, ["body=7bit\r\nrset"])

        connection.quit()
        self.assertEqual(wire.written, [b"quit\r\n"])


class AnswersTests(SimpleTestCase):
    def test_what_the_server_says_of_a_mail_is_logged(self) -> None:
        for pipelining in (True, False):
            connection, _ = connected(OK, OK, GO_ON, "250 2.0.0 Ok: queued as 4711", pipelining=pipelining)
            with self.subTest(pipelining), self.assertLogs("core.connections", "INFO") as logs:
                connection.sendmail(SENDER, [BO], MESSAGE)

            # That the recipient is taken is not worth a line.
            queued = "INFO:core.connections:The mail server answered 250 2.0.0 Ok: queued as 4711"
            self.assertEqual(logs.output, [queued])

    def test_a_recipient_to_whom_it_is_passed_on_is_taken(self) -> None:
        connection, _ = connected(OK, "251 will forward", GO_ON, OK)
        connection.sendmail(SENDER, [BO], MESSAGE)

        self.assertTrue(connection.accepted)

    def test_a_connection_with_tls_does_all_that_too(self) -> None:
        self.assertEqual(TLSConnection.__mro__[1:4], (Connection, smtplib.SMTP_SSL, smtplib.SMTP))
