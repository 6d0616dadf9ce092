import time
from threading import Event, Thread

from django.test import SimpleTestCase

from core.durable.breaker import Breaker, BrokerAwayError


class BreakerTests(SimpleTestCase):
    def test_one_failure_keeps_it_open_for_a_while(self) -> None:
        breaker = Breaker(rest=0.1)
        with self.assertRaises(OSError), breaker.attempt():
            raise OSError
        with self.assertRaises(BrokerAwayError), breaker.attempt():
            self.fail("it let a second one through")

        time.sleep(0.11)
        with breaker.attempt():
            pass

    def test_whoever_comes_while_one_is_finding_out_does_not_wait_for_it(self) -> None:
        breaker, silent = Breaker(), Event()

        def find_out() -> None:
            with breaker.attempt():
                silent.wait(2)

        thread = Thread(target=find_out)
        thread.start()
        start = time.monotonic()
        with self.assertRaises(BrokerAwayError), breaker.attempt():
            self.fail("two at once")
        elapsed = time.monotonic() - start
        silent.set()
        thread.join()

        self.assertLess(elapsed, 0.3)
