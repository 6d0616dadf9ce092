from django.test import SimpleTestCase

from config.runner import Runner


class RunnerTests(SimpleTestCase):
    def test_it_finds_the_tests_beside_app(self) -> None:
        suite = Runner(verbosity=0).build_suite()

        self.assertIn("tests.unit.test_runner", {type(test).__module__ for test in suite})
