"""Speaking as a station from a shell: testers' files pushed, a program's output followed."""

import logging
import signal
import ssl
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from mes.console.running import fail
from mes.console.station_fates import ON_RECORD, tell, tell_followed, tell_nothing_came, tell_verdicts
from mes.console.verdicts import RestAccess, RestUrl, TokenFile, rest_access
from mes.domain.identity import is_name, is_placeholder
from mes.embedded.broker import remembered_url
from mes.formats import cable_report
from mes.formats.messages import RunStop
from mes.settings import settings
from stations.beside import Place, left, take_place
from stations.client import Station, TooLargeError
from stations.connection import parse_url
from stations.files import TYPES, FromFile, UnknownFileError, read_file, without_attachments
from stations.ocptv_agent import About, Lines, Program, follow
from stations.spool import SpoolError

station = typer.Typer(no_args_is_help=True, help="Speak as a station, from a shell.")


class Form(StrEnum):
    """What a file may be."""

    openhtf = "openhtf"
    cable_report = "cable-report"
    ocptv = "ocptv"
    redfish = "redfish"


class Mqtt(StrEnum):
    """Versions of MQTT."""

    v3 = "3.1.1"
    v5 = "5"


class Purpose(StrEnum):
    """What a run is for."""

    production = "production"
    golden = "golden"
    gauge = "gauge"
    engineering = "engineering"


Name = Annotated[str, typer.Option("--station", help="The station that speaks.")]
Unit = Annotated[str | None, typer.Option(help="Serial of the unit; where a file names its own, not needed.")]
Step = Annotated[str, typer.Option(help="Step of the unit's route.")]
Run = Annotated[str | None, typer.Option(help="The station's own name for the run, unique at the station.")]
Operator = Annotated[str | None, typer.Option(help="Who did it.")]
Fixture = Annotated[str | None, typer.Option(help="What the unit was tested in.")]
For = Annotated[Purpose, typer.Option(help="What the run is for; only production moves a unit on.")]
Url = Annotated[str | None, typer.Option(help="mqtt[s]://user:password@host:port; else MES_MQTT_URL, else `mes up`'s.")]
User = Annotated[str | None, typer.Option(help="User at the broker, where the address has none.")]
Password = Annotated[Path | None, typer.Option("--password-file", help="File whose first line is the password.")]
Authority = Annotated[Path | None, typer.Option("--ca", help="Certificates (PEM) that vouch for the broker.")]
Version = Annotated[Mqtt, typer.Option("--mqtt", help="Version of MQTT.")]
Folder = Annotated[Path | None, typer.Option("--spools", help="Folder of the spools; else .mes-station at home.")]
Wait = Annotated[float, typer.Option("--wait", help="How long receipts are waited for in the end, in seconds.")]


@station.command()
def push(
    station: Name,
    files: Annotated[list[Path] | None, typer.Argument(help="What testers and BMCs wrote; see --form.")] = None,
    step: Annotated[str | None, typer.Option(help="Step of the unit's route.")] = None,
    unit: Unit = None,
    run: Run = None,
    relabel: Annotated[bool, typer.Option("--relabel", help="Let --unit count where a file names another.")] = False,
    form: Annotated[Form | None, typer.Option("--form", help="What a file is, if it can't be seen.")] = None,
    purpose: For = Purpose.production,
    operator: Operator = None,
    fixture: Fixture = None,
    url: Url = None,
    user: User = None,
    password: Password = None,
    authority: Authority = None,
    mqtt: Version = Mqtt.v3,
    spools: Folder = None,
    wait_s: Wait = 30.0,
    rest: RestUrl = None,
    token: TokenFile = None,
) -> None:
    """Send files of testers and BMCs, and say what became of them. The same file twice is on the record once.

    Where REST can be read, the MES's verdict of each run is told, too. Without files: send what earlier calls left in
    the spools. Exit status 0: all of it is on the record, whatever the verdict; 1: something is pending, rejected or
    without a receipt (without one it stays in the spool); 2: wrong usage.
    """
    connect = _connector(station, url, user, password, authority, mqtt)
    access = _access(rest, token)
    if not files:
        raise typer.Exit(_send_left(connect, station, spools, wait_s))
    about = _known(unit=unit, step=step, run=run, purpose=purpose.value, operator=operator, fixture=fixture)
    read = [(file, _read(file, about, form)) for file in files]
    for file, messages in read if unit and not relabel else ():
        _check_unit(file, messages, unit)
    with _beside(connect, station, "push", spools) as speaker:
        sent = [(file, messages, _forward(speaker, file, messages)) for file, messages in read]
        fates = speaker.await_receipts([id for _, _, ids in sent for id in ids], timeout_s=wait_s)
    whole = []
    for file, messages, ids in sent:
        whole.append(tell(str(file), ids, fates))
        tell_verdicts(access, station, messages, [id for id in ids if id in fates and fates[id].fate in ON_RECORD])
    raise typer.Exit(0 if all(whole) else 1)


@station.command("follow")
def follow_program(
    station: Name,
    unit: Annotated[str, typer.Option(help="Serial of the unit.")],
    step: Step,
    program: Annotated[list[str] | None, typer.Argument(help="Program and arguments, after --; else stdin.")] = None,
    run: Run = None,
    purpose: For = Purpose.production,
    operator: Operator = None,
    fixture: Fixture = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask first; a refusal, or no answer, ends with status 1.")] = False,
    go_on: Annotated[bool, typer.Option("--go-on", help="With --ask: begin also where no answer comes.")] = False,
    url: Url = None,
    user: User = None,
    password: Password = None,
    authority: Authority = None,
    mqtt: Version = Mqtt.v3,
    spools: Folder = None,
    wait_s: Wait = 10.0,
) -> None:
    """Run a program (or read stdin) and forward its OCP Test & Validation output while it runs.

    What it prints is passed on to stdout; what the MES made of it is told on stderr in the end. The exit status is the
    program's, or 1 where that is 0 and the MES rejected what was sent; a broker that is away changes nothing: the lines
    stay in the spool and are sent by the next call. When the MES wants the run to end, the program and what it started
    are ended.
    """
    connect = _connector(station, url, user, password, authority, mqtt)
    name = run or f"{step}-{uuid.uuid4().hex[:12]}"
    about = About(unit, step, name, purpose.value, operator, fixture)
    try:
        about.check()
    except ValueError as error:
        _misused(str(error))
    running: list[Program] = []

    def stop(told: RunStop) -> None:
        if told.run and told.run.startswith(name):  # a program's second run is called after its first
            typer.echo("mes: the MES ends the run: " + " ".join(one.text for one in told.reasons), err=True)
            for one in running:
                one.end()

    with _beside(connect, station, "follow", spools, stop) as speaker:
        asked = [_ask(speaker, about, go_on)] if ask else []
        lines = Lines(speaker, about)
        status = _follow(lines, program, running)
        if not lines.forwarded:
            tell_nothing_came(is_begun=bool(asked))
        is_rejected = tell_followed(speaker, name, [*asked, *lines.sent], wait_s)
    raise typer.Exit(status or int(is_rejected))


def _follow(lines: Lines, argv: Sequence[str] | None, running: list[Program]) -> int:
    if not argv:
        return _follow_stdin(lines)
    try:
        program = Program(argv)
    except OSError as error:
        fail(f"{argv[0]} can't be started: {error.strerror}.")
    running.append(program)
    _pass_signals_on(program)
    follow(lines, program.output, lambda: program.has_ended, sys.stdout)
    lines.end(program.how_it_ended())
    return program.status()


def _pass_signals_on(program: Program) -> None:
    """What the terminal or a service manager tells us is meant for the program: it decides, and only then we end."""
    signal.signal(signal.SIGTERM, lambda *_: program.end())
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no hang-up
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, lambda got, _: program.tell(got))


def _follow_stdin(lines: Lines) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        follow(lines, sys.stdin, lambda: False, sys.stdout)
    except KeyboardInterrupt:
        lines.end("Who followed the program was stopped before the run ended.")
        return 128 + signal.SIGINT
    lines.end("The program's output ended, and its run had no end.")
    return 0


def _ask(speaker: Station, about: About, go_on: bool) -> str:
    """Ask and start; the id of the start. Ends where the run may not begin."""
    permit = speaker.permit(about.unit, about.step, on_no_answer="go_on" if go_on else "stop")
    if not permit.holds:
        fail(permit.why)
    return speaker.start(about.unit, about.step, run=about.run, operator=about.operator)


Connect = Callable[[Place, Callable[[RunStop], None] | None], Station]


def _connector(
    name: str, url: str | None, user: str | None, password: Path | None, authority: Path | None, mqtt: Mqtt
) -> Connect:
    """How a station of the command line is made. Ends with status 2 where that can't be."""
    logging.basicConfig(level=logging.WARNING, format="mes: %(message)s")
    try:
        secret = password.read_text().splitlines()[0] if password else None
        if authority:
            authority.read_bytes()  # OpenSSL does not say which file it could not read
        tls = ssl.create_default_context(cafile=authority) if authority else None
    except (IndexError, UnicodeDecodeError):
        _misused(f"{password} has no text in its first line: the password")
    except ssl.SSLError:
        _misused(f"{authority} holds no certificates (PEM)")
    except OSError as error:
        _misused(f"{error.filename} can't be read: {error.strerror}")
    address = url or settings().mqtt_url or remembered_url(settings().data_dir, settings().mqtt_port)
    try:
        parse_url(address, for_tls=tls is not None)
    except ValueError as error:
        _misused(str(error))

    def connect(place: Place, on_stop: Callable[[RunStop], None] | None) -> Station:
        return Station(
            address,
            name,
            spool=place.spool,
            user=user,
            password=secret,
            ssl_context=tls,
            mqtt=mqtt.value,
            beside=place.beside,
            on_stop=on_stop,
        )

    return connect


@contextmanager
def _beside(
    connect: Connect,
    name: str,
    program: str,
    spools: Path | None,
    on_stop: Callable[[RunStop], None] | None = None,
) -> Iterator[Station]:
    """One that speaks beside the station's own client, with a spool of its own."""
    try:
        place = take_place(name, program, spools)
        speaker = connect(place, on_stop)
    except ValueError as error:  # a name or address that can't be one
        _misused(str(error))
    except SpoolError as error:
        fail(str(error))
    try:
        with speaker:
            yield speaker
    except SpoolError as error:
        fail(str(error))


def _send_left(connect: Connect, name: str, spools: Path | None, wait_s: float) -> int:
    whole = []
    try:
        for place in left(name, spools):
            with connect(place, None) as speaker:
                ids = speaker.unsettled()
                whole.append(tell(str(place.spool.path), ids, speaker.await_receipts(ids, timeout_s=wait_s)))
    except SpoolError as error:
        fail(str(error))
    if not whole:
        typer.echo("nothing was left")
    return 0 if all(whole) else 1


def _forward(speaker: Station, file: Path, messages: Sequence[FromFile]) -> list[str]:
    ids = []
    for one in messages:
        try:
            ids.append(speaker.forward(one.type, one.data, at=one.at, id=one.id))
        except TooLargeError as error:
            if one.type != TYPES["openhtf"]:
                fail(f"{file}: {error}")
            typer.echo(f"{file}: {error} It is sent without what is attached.", err=True)
            try:
                ids.append(speaker.forward(one.type, without_attachments(one.data), at=one.at, id=one.id))
            except TooLargeError as still:
                fail(f"{file}: {still}")
    return ids


def _access(rest: str | None, token: Path | None) -> RestAccess | None:
    try:
        return rest_access(rest, token, settings())
    except OSError as error:
        _misused(f"the token for REST can't be read: {error}")


def _read(file: Path, about: dict[str, str], form: Form | None) -> list[FromFile]:
    try:
        messages = read_file(file, about, form.value if form else None)
    except UnknownFileError as error:
        _misused(str(error))
    if "step" not in about and any(one.type != TYPES["redfish"] for one in messages):
        _misused(f"name the --step that {file} tells of")
    if "unit" not in about and any(one.type in (TYPES["ocptv"], TYPES["redfish"]) for one in messages):
        _misused(f"{file} names no unit: give --unit")
    return messages


def _check_unit(file: Path, messages: Sequence[FromFile], unit: str | None) -> None:
    """A slip of the hand must not put one unit's report on another's record."""
    for told in filter(None, map(_own_serial, messages)):
        if told != unit:
            instead = f"leave --unit out, or say --relabel if {unit} is right"
            _misused(f"{file} tells of {told}, --unit says {unit}; {instead}")


def _own_serial(one: FromFile) -> str | None:
    """The serial that a file itself names; a placeholder, or what can't be a serial, is none."""
    run = cable_report.read(one.data["text"], one.at).run if one.type == TYPES["cable-report"] else None
    named = run.unit if run else one.data.get("dut_id")
    return named if isinstance(named, str) and is_name(named) and not is_placeholder(named) else None


def _known(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _misused(text: str) -> NoReturn:
    typer.echo(f"mes: {text}", err=True)
    raise typer.Exit(2)
