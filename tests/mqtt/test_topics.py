"""Topics are built and read in one way, and only for names that can be part of one."""

import pytest

from mes.formats import messages
from mes.mqtt import topics


@pytest.mark.parametrize("kind", sorted(topics.KINDS))
def test_every_kind_there_and_back(kind: str) -> None:
    assert topics.parse(topics.topic("ct-01", kind)) == ("ct-01", kind)


@pytest.mark.parametrize(
    "topic",
    ["", "mes/v1", "mes/v1/ct-01", "mes/v1/ct-01/other", "mes/v1//run", "mes/v2/ct-01/run", "mes/v1/a b/run"],
)
def test_what_is_no_topic_of_ours(topic: str) -> None:
    assert topics.parse(topic) is None


@pytest.mark.parametrize("station", ["", "a/b", "+", "#", "a b", "ä", "x" * 65, "a\0"])
def test_a_topic_is_never_built_for_a_name_that_is_none(station: str) -> None:
    with pytest.raises(ValueError, match="station name"):
        topics.topic(station, "run")
    with pytest.raises(ValueError, match="no topic"):
        topics.topic("ct-01", "#")


def test_facts_are_shared_and_status_is_not() -> None:
    plain, shared = topics.ingest_subscriptions(), topics.ingest_subscriptions("mes-ingest")
    assert "mes/v1/+/run/ocptv" in plain
    assert "$share/mes-ingest/mes/v1/+/run" in shared
    assert plain[-1] == shared[-1] == "mes/v1/+/status"
    assert not any(topic.endswith("/ask") for topic in plain)


def test_the_group_of_ingest_is_a_secret_that_all_of_its_processes_know() -> None:
    name = topics.ingest_share("main", "of-the-mes")
    assert name == topics.ingest_share("main", "of-the-mes")
    assert len({name, topics.ingest_share("main", "other"), topics.ingest_share("second", "of-the-mes")}) == 3
    assert "of-the-mes" not in name
    assert not set("/+#") & set(name)
    assert len(name) > len("mes-main-") + 32
    assert topics.ingest_share("main", None) == "mes-main"


def test_every_readable_kind_is_listened_to() -> None:
    heard = {topic.removeprefix("mes/v1/+/") for topic in (*topics.ingest_subscriptions(), *topics.ask_subscriptions())}
    assert set(messages.TYPES) <= heard
    sent = {topic.removeprefix("mes/v1/ct-01/") for topic in topics.station_subscriptions("ct-01")}
    assert sent == set(messages.ANSWERS)
