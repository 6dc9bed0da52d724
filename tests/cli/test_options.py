"""Arguments, as nginx takes them."""

import pytest

from gatepost.cli.options import OptionError, Options, parse


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], Options()),
        (["-"], Options()),
        (["-?"], Options(help=True)),
        (["-h"], Options(help=True)),
        (["-v"], Options(version=True)),
        (["-V"], Options(build=True)),
        (["-tq"], Options(test=True, quiet=True)),
        (["-T", "-q"], Options(dump=True, quiet=True)),
        (["-s", "quit"], Options(signal="quit")),
        (["-squit"], Options(signal="quit")),
        (["-tc", "a"], Options(test=True, file="a")),
        (["-tca"], Options(test=True, file="a")),
        (["-c", ""], Options(file="")),
        (["-c", "-t"], Options(file="-t")),
        (["-c", "a", "-c", "b"], Options(file="b")),
        (["-p", "/x", "-e", "log", "-g", "pid a; "], Options(prefix="/x", error_log="log", directives="pid a; ")),
    ],
)
def test_arguments(arguments: list[str], options: Options) -> None:
    assert parse(arguments) == options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x"], 'invalid option: "x"'),
        ([""], 'invalid option: ""'),
        (["-x"], 'invalid option: "x"'),
        (["-tx"], 'invalid option: "x"'),
        (["--help"], 'invalid option: "-"'),
        (["-h", "-z"], 'invalid option: "z"'),
        (["-c"], 'option "-c" requires file name'),
        (["-te"], 'option "-e" requires file name'),
        (["-p"], 'option "-p" requires directory name'),
        (["-g"], 'option "-g" requires parameter'),
        (["-s"], 'option "-s" requires parameter'),
        (["-s", "foo"], 'invalid option: "-s foo"'),
        (["-s", ""], 'invalid option: "-s "'),
        (["-s", "QUIT"], 'invalid option: "-s QUIT"'),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(arguments)
    assert str(caught.value) == message


def test_what_is_asked_for() -> None:
    assert Options().starts
    assert not Options(signal="stop").starts
    assert not Options(dump=True).starts
    assert Options(dump=True).tests
    assert Options(build=True).informs
    assert not Options(test=True).informs
