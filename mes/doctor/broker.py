"""The broker, tried out: does it keep what waits and what is retained, speak last wills, take our largest message?"""

import secrets
import ssl
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from mes.doctor.findings import Finding, Level, ended
from mes.doctor.trial import BROKE_OFF, EMPTY_BATCH, Refused, Trial, connected
from mes.mqtt import topics
from mes.mqtt.address import Broker

AREA: Final = "broker"
KEPT_MESSAGES: Final = 3000
"""More than the 1,000 or 2,000 that a broker is known to drop beyond, and than the 20 in flight on top."""
KEPT_BYTES: Final = 4096
"""The size of each: together 12 MiB, what a floor says in some seconds."""
KEPT_MAX_S: Final = 120.0
KEPT: Final = f"{KEPT_MESSAGES} messages of {KEPT_BYTES // 1024} KiB"
LOOKS: Final = 3
"""How often a retained message is looked for."""
ASKS: Final = 60
ANSWER_MAX_S: Final = 0.025
"""An answer slower than this, and than its ways to the broker and back, has waited for TCP."""

SEE: Final = "See deploy/mosquitto or deploy/emqx for an access list."


class Patient(NamedTuple):
    """The broker, and a name that nobody else has there: of our topic and of our clients.

    `embedded` is the kind of broker that `mes up` started, or None where somebody else configured it.
    """

    broker: Broker
    name: str
    message_max_bytes: int
    site: str
    embedded: str | None

    @property
    def topic(self) -> str:
        """A topic of ours that neither ingest nor the answering process listens to."""
        return topics.topic(self.name, topics.RECEIPTS)


def patient(broker: Broker, message_max_bytes: int, site: str = "main", embedded: str | None = None) -> Patient:
    """A broker to be tried."""
    return Patient(broker, f"doctor-{secrets.token_hex(4)}", message_max_bytes, site, embedded)


def reach(tried: Patient) -> Finding:
    """Whether the broker lets us in, by a door where we may have several connections, say and hear what is ours."""
    where = f"{tried.broker.host}:{tried.broker.port}"
    try:
        with connected(tried.broker, tried.name) as first:
            return _round_trip(tried, first, where)
    except Refused as refused:
        text = f"{where} does not let us in: {refused}."
        return Finding(AREA, "reachable", "error", text, _way_in(tried, refused))
    except Exception as error:
        return ended(AREA, "reachable", error)


def examine_broker(tried: Patient) -> Iterator[Finding]:
    """Every check of a broker that can be used."""
    for name, check in CHECKS.items():
        try:
            level, text, advice = check(tried)
        except Refused as refused:
            level, text, advice = "error", f"The broker gave up on us: {refused}.", "See its log."
        except Exception as error:
            yield ended(AREA, name, error)
            continue
        yield Finding(AREA, name, level, text, "" if level == "fine" else advice)


def _way_in(tried: Patient, refused: Refused) -> str:
    """What to do where the broker does not let us in."""
    match refused.__cause__:
        case ssl.SSLCertVerificationError():
            return (
                "The variable SSL_CERT_FILE names a file with the CA's certificate; every process of the MES needs it. "
                "The certificate must be for the host that MES_MQTT_URL names, and not have run out."
            )
        case ssl.SSLError() | ConnectionResetError() if tried.broker.tls:
            return "Does this port speak TLS? Without it the address begins with mqtt://."
        case OSError():
            return "Is it running, and are MES_MQTT_URL's host and port right?"
    if str(refused) == BROKE_OFF:
        return "Does this port want TLS? Then MES_MQTT_URL begins with mqtts://. See the broker's log."
    return "Are MES_MQTT_URL's user and password right? See the broker's log."


def _round_trip(tried: Patient, first: Trial, where: str) -> Finding:
    """Says something over a second connection and hears it over the first; else no other check proves a thing."""
    is_ours = _hears_itself(tried, first)
    if is_ours:
        return Finding(AREA, "reachable", "fine", f"{where} lets us in, and what we say comes back.")
    if is_ours is None:
        text = f"{where} is a door for stations: a second connection of {_user(tried)} ended the first."
        advice = (
            "The MES needs several connections at once. Let MES_MQTT_URL name its own door (1883 in deploy/), where "
            "the user's name does not take the place of the client id."
        )
        return Finding(AREA, "reachable", "error", text, advice)
    text = f"At {where} {_user(tried)} may not read or not write {topics.ROOT}/#: what we said did not come back."
    advice = f"Let MES_MQTT_URL name the MES's own user, who may do both; a station's user may not. {SEE}"
    return Finding(AREA, "reachable", "error", text, advice)


def _hears_itself(tried: Patient, first: Trial) -> bool | None:
    """Whether what we say comes back; None: two connections of one user throw each other out."""
    try:
        first.subscribe(tried.topic)
    except Refused:
        return False
    with connected(tried.broker, f"{tried.name}-second") as second:
        second.say(tried.topic, EMPTY_BATCH)
        first.wait(lambda: first.lost or bool(first.received))
    if first.received:
        return True
    return None if first.lost else False


def _user(tried: Patient) -> str:
    return f"the user {tried.broker.user}" if tried.broker.user else "a user without a name"


Verdict = tuple[Level, str, str]


def keeps_messages(tried: Patient) -> Verdict:
    """Whether it keeps what is sent while a persistent subscriber is away, as ingest may be for hours."""
    name = f"{tried.name}-absent"
    with connected(tried.broker, name, clean=False) as absent:
        absent.subscribe(tried.topic)
    try:
        return _send_and_count(tried, name)
    finally:
        with connected(tried.broker, name, clean=True):
            pass  # a clean session takes the kept one away


def _send_and_count(tried: Patient, name: str) -> Verdict:
    with connected(tried.broker, f"{tried.name}-out") as sender:
        taken = sender.publish_all(tried.topic, [_blank(KEPT_BYTES)] * KEPT_MESSAGES)
        with connected(tried.broker, name, clean=False) as back:
            kept = back.wait_for_count(KEPT_MESSAGES, KEPT_MAX_S)
    if kept >= KEPT_MESSAGES:
        return "fine", f"It kept all {KEPT} for a subscriber that was away.", ""
    acknowledged = "acknowledged" if taken else "took"
    text = f"It {acknowledged} {KEPT} for a subscriber that was away and dropped {KEPT_MESSAGES - kept}."
    return (
        "error",
        text,
        (
            "Facts are lost whenever ingest is away. Mosquitto: max_queued_messages 0, max_queued_bytes 0 and "
            "persistence true; EMQX: mqtt.max_mqueue_len = infinity. See deploy/."
        ),
    )


def keeps_for_long(tried: Patient) -> Verdict:
    """What trying can't show: sessions that end with a restart or with time, and bounds beyond what we sent."""
    if tried.embedded == "mosquitto":
        return "fine", "`mes up` has it keep sessions over a restart, without a bound or an end.", ""
    if tried.embedded:
        text = f"{tried.embedded} keeps everything in memory: a restart forgets what ingest did not take yet."
        return "warning", text, "Fine for a first day. Then install mosquitto, or name a broker in MES_MQTT_URL."
    text = f"Not tried: whether what waits outlives a restart of the broker, hours, and more than {KEPT}."
    return (
        "not proven",
        text,
        (
            "Look at its configuration. Mosquitto: persistence true, max_queued_messages 0, max_queued_bytes 0, no "
            "persistent_client_expiration. EMQX: durable_sessions.enable = true, mqtt.session_expiry_interval = 365d. "
            "Or try it: stop `mes ingest`, let a station report, restart the broker, start ingest: is it on the record?"
        ),
    )


def _blank(size: int) -> bytes:
    """A batch of no messages that is so many bytes long."""
    return b"[" + b" " * (size - len(EMPTY_BATCH)) + b"]"


def answers_at_once(tried: Patient) -> Verdict:
    """Whether an answer to a station goes at once, or waits for TCP's delayed acknowledgement of what went before."""
    there, back = tried.topic, topics.topic(tried.name, topics.ANSWERS)
    with connected(tried.broker, tried.name) as asks, connected(tried.broker, f"{tried.name}-answers") as answers:
        asks.subscribe(back)
        answers.subscribe(there)
        took_s = [_ask(asks, answers, there, back, number) for number in range(1, ASKS + 1)]
        way_s = asks.connect_s
    # The first ones tell nothing: a new connection acknowledges at once.
    answer_s = statistics.median(took_s[ASKS // 2 :])
    text = f"An answer over it takes {answer_s * 1000:.1f} ms (median of {ASKS // 2})."
    if answer_s <= max(ANSWER_MAX_S, 6 * way_s):
        return "fine", text, ""
    return "warning", text, "Every ask of a station waits so long. Mosquitto: set_tcp_nodelay true."


def _ask(asks: Trial, answers: Trial, there: str, back: str, number: int) -> float:
    """Seconds from a question to its answer."""
    begun = time.perf_counter()
    asks.say(there, EMPTY_BATCH)
    if not answers.wait(lambda: len(answers.received) >= number):
        raise Refused("a question did not come through")
    answers.say(back, EMPTY_BATCH)
    if not asks.wait(lambda: len(asks.received) >= number):
        raise Refused("an answer did not come back")
    return time.perf_counter() - begun


def keeps_retained(tried: Patient) -> Verdict:
    """Whether it keeps a retained message: that is how a station's status is known after a restart."""
    try:
        with connected(tried.broker, tried.name) as client:
            client.publish(tried.topic, EMPTY_BATCH, retain=True)
            # amqtt acknowledges before it has kept it, and may forget it when its sender leaves at once.
            kept = any(_is_there(tried) for _ in range(LOOKS))
    finally:
        with connected(tried.broker, tried.name) as client:
            client.publish(tried.topic, b"", retain=True)  # takes it away
    if kept:
        return "fine", "It keeps retained messages.", ""
    return "error", "It forgot a retained message.", "The board needs stations' retained status: allow it."


def _is_there(tried: Patient) -> bool:
    """Whether somebody who comes later is told what was retained."""
    with connected(tried.broker, f"{tried.name}-later") as later:
        later.subscribe(tried.topic)
        return later.wait_for_count(1) >= 1


def speaks_wills(tried: Patient) -> Verdict:
    """Whether a last will is spoken when a connection breaks: that is how a dead station is noticed."""
    with connected(tried.broker, tried.name) as client:
        client.subscribe(tried.topic)
        dying = Trial(tried.broker, f"{tried.name}-dying", clean=True, will=tried.topic)
        dying.connect()
        dying.break_off()
        spoken = client.wait_for_count(1) >= 1
    if spoken:
        return "fine", "It speaks a last will when a connection breaks.", ""
    return (
        "error",
        "A connection broke and its last will was not spoken.",
        "Dead stations would seem alive: allow wills.",
    )


def takes_the_largest(tried: Patient) -> Verdict:
    """Whether a message of the largest size that we read comes through."""
    size = tried.message_max_bytes
    with connected(tried.broker, tried.name) as client:
        client.subscribe(tried.topic)
        client.publish(tried.topic, _blank(size))
        through = client.wait_for_count(1) >= 1
    if through:
        return "fine", f"A message of {size} bytes comes through.", ""
    text = f"A message of {size} bytes, which MES_MESSAGE_MAX_BYTES allows, does not come through."
    return (
        "error",
        text,
        (
            "Some brokers acknowledge what they drop. Mosquitto: message_size_limit; EMQX: mqtt.max_packet_size. "
            "Or lower MES_MESSAGE_MAX_BYTES, and that of the stations."
        ),
    )


CHECKS: Final[dict[str, Callable[[Patient], Verdict]]] = {
    "keeps messages": keeps_messages,
    "keeps them for long": keeps_for_long,
    "answers at once": answers_at_once,
    "retained": keeps_retained,
    "last will": speaks_wills,
    "largest message": takes_the_largest,
}
