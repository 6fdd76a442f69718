"""The planted defects of ``make mutants`` still find their lines."""

from mutants import MUTANTS, ROOT, planted


def test_every_mutant_changes_one_line_and_names_tests_that_exist():
    assert len(MUTANTS) >= 10
    for mutant in MUTANTS:
        text = (ROOT / mutant.file).read_text(encoding="utf-8")
        assert planted(mutant, text) != text
        assert all((ROOT / path).exists() for path in mutant.tests.split())
