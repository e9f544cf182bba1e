from pathlib import PurePosixPath

from tools.house.sizes import check_file_size, check_function_size
from tools.house.source import Source

PATH = PurePosixPath("src/gridmill/tasks/service.py")


def test_a_file_of_401_lines_is_an_offence() -> None:
    assert [o.law for o in check_file_size(Source(PATH, "x = 1\n" * 401))] == ["file-size"]


def test_a_file_of_400_lines_is_none() -> None:
    assert not list(check_file_size(Source(PATH, "x = 1\n" * 400)))


def test_a_function_of_51_lines_is_an_offence_and_named() -> None:
    text = "async def plan():\n" + "    x = 1\n" * 50
    assert [o.subject for o in check_function_size(Source(PATH, text))] == ["plan"]


def test_a_docstring_does_not_count() -> None:
    text = 'def plan():\n    """Why.\n\n    More.\n    """\n' + "    x = 1\n" * 49
    assert not list(check_function_size(Source(PATH, text)))


def test_a_method_and_an_inner_function_are_measured_too() -> None:
    long = "        x = 1\n" * 55
    text = f"class A:\n    def b(self):\n{long}\n    def c(self):\n        return 1\n"
    assert [o.subject for o in check_function_size(Source(PATH, text))] == ["b"]
