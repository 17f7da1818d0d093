"""Runs doctests and unit tests of its own, with subtests, mocks and set-up."""

import doctest
import io
import sys
import unittest
import unittest.mock


def double(number):
    """
    >>> double(4)
    8
    >>> double("a")
    'aa'
    """
    return number * 2


assert doctest.testmod() == (0, 2)


class Numbers(unittest.TestCase):
    def setUp(self):
        self.numbers = [1, 2, 3]

    def test_sum(self):
        self.assertEqual(sum(self.numbers), 6)
        for number in self.numbers:
            with self.subTest(number=number):
                self.assertGreater(number, 0)

    def test_error(self):
        with self.assertRaisesRegex(ValueError, "invalid literal"):
            int("x")

    @unittest.skip("on purpose")
    def test_skipped(self):
        self.fail("never")

    def test_mock(self):
        with unittest.mock.patch("os.getcwd", return_value="/somewhere"):
            import os

            self.assertEqual(os.getcwd(), "/somewhere")

    def test_wrong(self):
        self.assertEqual(1, 2)


class Later(unittest.IsolatedAsyncioTestCase):
    async def test_later(self):
        import asyncio

        await asyncio.sleep(0)


stream = io.StringIO()
suite = unittest.TestSuite(
    unittest.defaultTestLoader.loadTestsFromTestCase(case) for case in (Numbers, Later)
)
result = unittest.TextTestRunner(stream, verbosity=2).run(suite)
assert (result.testsRun, len(result.failures), len(result.errors), len(result.skipped)) == (6, 1, 0, 1)
assert "AssertionError: 1 != 2" in stream.getvalue()
program = unittest.main(
    module=sys.modules["__main__"],
    argv=["x", "Later"],
    exit=False,
    testRunner=unittest.TextTestRunner(io.StringIO()),
)
assert program.result.wasSuccessful()
print("done")
