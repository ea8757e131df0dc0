"""What the comparison asserts is shown as what a test asserts."""

import pytest

pytest.register_assert_rewrite("tests.journeys.comparison")
