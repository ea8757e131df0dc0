"""Who may speak as whom at the broker, tried with the passwords of stations, where some were given.

What is sent is an empty batch, from which nothing follows wherever it arrives; its blanks tell one from another.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from mes.doctor.broker import Patient
from mes.doctor.findings import Finding, ended
from mes.doctor.trial import EMPTY_BATCH, Refused, Trial, connected
from mes.mqtt import topics
from mes.mqtt.address import Broker

AREA: Final = "stations"
SAYS: Final = (*topics.FACT_KINDS, topics.STATUS, topics.ASK)
HEARS: Final = (topics.ANSWERS, topics.RECEIPTS, topics.WANTED)
SHARED: Final = 20
"""Messages that are divided among a group, for a look at whether any of them is lost."""
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
SEE: Final = "See deploy/mosquitto or deploy/emqx for an access list that keeps stations apart."


def examine_stations(tried: Patient, logins: Sequence[Broker]) -> Iterator[Finding]:
    """Whether anyone may come in, and whether each of these stations is held to its own name."""
    yield _anonymous(tried)
    if not logins:
        text = "No station's password was given, so it was not tried whether one can speak as another."
        advice = "Give two: `mes doctor --logins FILE`, a line mqtt://station:secret@host:port for each."
        yield Finding(AREA, "kept apart", "not proven", text, advice)
    for login, other in zip(logins, [*logins[1:], *logins[:1]], strict=True):
        name = other.user if other.user and other is not login else tried.name
        yield from _station(tried, login, name)


def _anonymous(tried: Patient) -> Finding:
    nobody = tried.broker._replace(user=None, password=None)
    try:
        with connected(nobody, f"{tried.name}-nobody"):
            pass
    except Refused:
        return Finding(AREA, "password", "fine", "Nobody comes in without a password.")
    text = "Anyone comes in without a password, and can speak as any station."
    if tried.broker.host in LOOPBACK:
        advice = "Fine for a first day on one machine, not for a floor."
        return Finding(AREA, "password", "warning", text, f"{advice} {SEE}")
    return Finding(AREA, "password", "error", text, f"Mosquitto: allow_anonymous false. {SEE}")


def _station(tried: Patient, login: Broker, other: str) -> Iterator[Finding]:
    """Everything about one station. `other` is the name that it must not speak under."""
    own = login.user or ""
    for check in (_speaks, _hears, _takes_sessions, _takes_shares):
        try:
            yield check(tried, login, own, other)
        except Refused as refused:
            text = f"{own} is not let in, or not answered, at {login.host}:{login.port}: {refused}."
            advice = "Is its secret right, and was the password file written and read again?"
            yield Finding(AREA, f"{own} comes in", "error", text, advice)
            return
        except Exception as error:
            yield ended(AREA, own, error)


def _speaks(tried: Patient, login: Broker, own: str, other: str) -> Finding:
    """Speaks under another's name on every topic, then under its own: only the last may be heard."""
    marks = _marks()
    with connected(tried.broker, f"{tried.name}-ears") as mes:
        mes.subscribe(*(topics.topic(name, kind) for name in {own, other} for kind in (*SAYS, *HEARS)))
        forged = {next(marks): topics.topic(other, kind) for kind in (*SAYS, *HEARS)}
        last = next(marks)
        for mark, topic in {**forged, last: topics.topic(own, "run")}.items():
            # A connection for each: some brokers end one that says what it may not.
            with connected(login, f"{tried.name}-mouth") as station:
                station.publish(topic, mark)
        if not mes.wait(lambda: _heard(mes, last)):
            text = f"What {own} says under its own name does not reach the MES."
            return Finding(AREA, f"{own} speaks as itself only", "error", text, f"Let it write its topics. {SEE}")
        through = sorted(topic.rpartition(f"/{other}/")[2] for mark, topic in forged.items() if _heard(mes, mark))
    if through:
        text = f"{own} can speak as {other} on {', '.join(through)}."
        return Finding(AREA, f"{own} speaks as itself only", "error", text, SEE)
    return Finding(AREA, f"{own} speaks as itself only", "fine", f"{own} is heard under its own name, not as {other}.")


def _hears(tried: Patient, login: Broker, own: str, other: str) -> Finding:
    """Listens to everything of ours: what is for another must not come, what is for itself must."""
    marks = _marks()
    check = f"{own} hears what is for itself only"
    with connected(tried.broker, f"{tried.name}-mouth") as mes, connected(login, f"{tried.name}-ears") as station:
        wishes = [topics.topic(other, kind) for kind in (*SAYS, *HEARS)]
        for wish in (f"{topics.ROOT}/#", *wishes, *(topics.topic(own, kind) for kind in HEARS)):
            station.subscribe(wish)
        others = {next(marks): topic for topic in wishes}
        for mark, topic in others.items():
            mes.say(topic, mark)
        last = next(marks)
        mes.say(topics.topic(own, topics.RECEIPTS), last)
        if not station.wait(lambda: _heard(station, last)):
            return Finding(AREA, check, "error", f"{own} does not hear its own receipts.", f"Let it read them. {SEE}")
        through = sorted(topic for mark, topic in others.items() if _heard(station, mark))
    if through:
        return Finding(AREA, check, "error", f"{own} hears {', '.join(through)}.", SEE)
    return Finding(AREA, check, "fine", f"{own} hears its own receipts, nothing of {other}.")


def _takes_sessions(tried: Patient, login: Broker, own: str, _other: str) -> Finding:
    """Connects as a client id of the MES: a session, and what waits in it, is worth more than a password."""
    check, name = f"{own} takes no one's session", f"{tried.name}-session"
    with connected(tried.broker, name, clean=False) as mes:
        mes.subscribe(tried.topic)
    try:
        try:
            with connected(login, name, clean=False) as thief:
                taken = thief.resumed
        except Refused:
            taken = False
        with connected(tried.broker, name, clean=False) as back:
            taken = taken or not back.resumed
    finally:
        with connected(tried.broker, name, clean=True):
            pass
    if taken:
        text = f"{own} can connect under the MES's client id and take, or end, its session with all that waits in it."
        advice = "Mosquitto: use_username_as_clientid true at the stations' listener. EMQX: the same in their zone."
        return Finding(AREA, check, "error", text, f"{advice} {SEE}")
    return Finding(AREA, check, "fine", f"{own} can't take a session of the MES.")


def _takes_shares(tried: Patient, login: Broker, own: str, _other: str) -> Finding:
    """Joins the group of `mes ingest --slot` under the name that can be guessed, on a topic of ours.

    Mosquitto's access list is not asked about a subscription: who joins gets a share, which is dropped on its way.
    """
    check = f"{own} takes no share of the facts"
    ours, guessed = (topics.ingest_share(tried.site, secret) for secret in (tried.broker.password, None))
    with connected(tried.broker, f"{tried.name}-slot") as mes, connected(login, f"{tried.name}-joins") as station:
        mes.subscribe(f"$share/{ours}/{tried.topic}")
        mes.say(tried.topic, EMPTY_BATCH)
        if not mes.wait_for_count(1):
            text = (
                "The broker has no shared subscriptions, so none can be joined. Don't use `mes ingest --slot` with it."
            )
            return Finding(AREA, check, "fine", text)
        station.subscribe(f"$share/{guessed}/{tried.topic}")
        mes.publish_all(tried.topic, [EMPTY_BATCH] * SHARED)
        taken = 1 + SHARED - mes.wait_for_count(1 + SHARED)
    if taken > 0:
        text = f"{own} can join the group of `mes ingest --slot`: {taken} of {SHARED} messages did not reach the MES."
        advice = (
            "Give the MES a password at the broker, and name it in MES_MQTT_URL: the group's name is then a secret."
        )
        return Finding(AREA, check, "error", text, advice)
    return Finding(AREA, check, "fine", f"{own} can't join the group of `mes ingest --slot` by guessing its name.")


def _marks() -> Iterator[bytes]:
    """Empty batches that can be told apart."""
    return (b"[" + b" " * number + b"]" for number in itertools.count(1))


def _heard(ears: Trial, mark: bytes) -> bool:
    return any(payload == mark for _, payload in ears.received)
