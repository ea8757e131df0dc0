"""The brokers' files in this folder, from what the code says: `python deploy/broker_files.py` writes them again.

The lines that keep messages are those of the embedded broker, the topics are the contract's. So there is no second
truth about either, and what is edited here by hand is lost: copy a file to make it your own.
"""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mes.commands.station_secrets import MES_USER
from mes.embedded.mosquitto import HEADROOM_BYTES, MESSAGE_MAX_BYTES, keeping
from mes.formats.broker_passwords import KEY_BYTES, ROUNDS
from mes.mqtt import topics

DEPLOY: Final = Path(__file__).parent
WRITES: Final = (*topics.FACT_KINDS, topics.STATUS, topics.ASK)
READS: Final = (topics.ANSWERS, topics.RECEIPTS, topics.WANTED)
WIDTH: Final = 118


def mosquitto_conf() -> str:
    """Mosquitto 2 with a password for everyone and an access list."""
    kept = "\n".join(f"{_comment(line.why)}\n{line.text}\n" for line in keeping())
    return f"""\
# Mosquitto for a floor: nothing is dropped silently, and a station speaks and listens under its own name only.
# The compose file mounts this folder as /mosquitto/config. Elsewhere change the paths.

# The MES's own door: `mes ingest` and `mes answer`. Stations must not reach it: see below.
listener 1883

# The stations' door.
listener 1884
# The user's name takes the place of the client id. A broker resumes a session for whoever names its client id, whatever
# the user: a station that connected as the client of `mes ingest` would take the messages that wait for it.
use_username_as_clientid true

# The same with TLS; then leave the door above closed. Put the CA's, the server's certificate and its key there.
# listener 8883
# use_username_as_clientid true
# tls_version tlsv1.2
# certfile /mosquitto/tls/server.crt
# keyfile /mosquitto/tls/server.key
# Stations that show a certificate of their own instead of a password; its common name is the station's name:
# cafile /mosquitto/tls/ca.crt
# require_certificate true
# use_identity_as_username true

# `mes broker passwords` writes this file. After a change: SIGHUP.
allow_anonymous false
password_file /mosquitto/accounts/passwords
acl_file /mosquitto/config/acl

persistence_location /mosquitto/data/
{kept}
log_dest stdout
log_type error
log_type warning
log_type notice
"""


def mosquitto_acl() -> str:
    """Who may say and hear what: the MES everything of ours, a station its own topics in their direction."""
    lines = [
        "# The MES itself.",
        f"user {MES_USER}",
        f"topic readwrite {topics.ROOT}/#",
        "",
        "# Stations: the user's name is the station's.",
        *(f"pattern write {topics.ROOT}/%u/{kind}" for kind in WRITES),
        *(f"pattern read {topics.ROOT}/%u/{kind}" for kind in READS),
    ]
    return "\n".join(lines) + "\n"


def emqx_conf() -> str:
    """The same for EMQX 5, to be included as its base.hocon."""
    return f"""\
# EMQX 5 for a floor, as etc/base.hocon. It could not be run where it was written: prove it with `mes doctor`.
# `mes broker passwords --kind emqx -o mes-passwords.csv` writes the accounts; EMQX reads them when it starts.

mqtt {{
  # Above MES_MESSAGE_MAX_BYTES: the MES rejects what is too large, visibly.
  max_packet_size = "{(MESSAGE_MAX_BYTES + HEADROOM_BYTES) // 1024}KB"
  # No bound on what waits for a process that is away. The default, 1000, drops the oldest.
  max_mqueue_len = infinity
  max_inflight = 65535
  # Sessions of MQTT 3.1.1 would end after two hours, with all that waits in them.
  session_expiry_interval = "365d"
}}

# Sessions and what waits in them outlive a restart.
durable_sessions {{
  enable = true
  message_retention_period = "7d"
}}

# A long queue is no reason to end a session.
force_shutdown {{ enable = false }}

# The MES's own door; stations must not reach it.
listeners.tcp.default {{
  bind = "0.0.0.0:1883"
  tcp_options {{ nodelay = true }}
}}

# The stations' door: the user's name takes the place of the client id, so that none can take another's session.
listeners.tcp.stations {{
  bind = "0.0.0.0:1884"
  zone = stations
  tcp_options {{ nodelay = true }}
}}
zones.stations.mqtt.use_username_as_clientid = true

# EMQX opens three more doors unless it is told not to. In them a station could take another's session. To open the one
# with TLS, set `zone = stations` in it.
listeners.ssl.default.enable = false
listeners.ws.default.enable = false
listeners.wss.default.enable = false

authentication = [
  {{
    mechanism = password_based
    backend = built_in_database
    user_id_type = username
    password_hash_algorithm {{ name = pbkdf2, mac_fun = sha512, iterations = {ROUNDS}, dk_length = {KEY_BYTES} }}
    bootstrap_file = "etc/mes-passwords.csv"
    bootstrap_type = hash
  }}
]

authorization {{
  no_match = deny
  # Ignored, not disconnected: a station that is refused one topic goes on with the others.
  deny_action = ignore
  sources = [{{ type = file, enable = true, path = "etc/mes-acl.conf" }}]
}}
"""


def emqx_acl() -> str:
    """Mosquitto's access list in EMQX's words."""
    writes = ", ".join(f'"{topics.ROOT}/${{username}}/{kind}"' for kind in WRITES)
    reads = ", ".join(f'"{topics.ROOT}/${{username}}/{kind}"' for kind in READS)
    return f"""\
%% The MES itself.
{{allow, {{username, "{MES_USER}"}}, all, ["{topics.ROOT}/#"]}}.
%% Stations: the user's name is the station's.
{{allow, all, publish, [{writes}]}}.
{{allow, all, subscribe, [{reads}]}}.
{{deny, all}}.
"""


def files() -> Iterator[tuple[Path, str]]:
    """Every file and what is in it."""
    yield DEPLOY / "mosquitto" / "mosquitto.conf", mosquitto_conf()
    yield DEPLOY / "mosquitto" / "acl", mosquitto_acl()
    yield DEPLOY / "emqx" / "base.hocon", emqx_conf()
    yield DEPLOY / "emqx" / "mes-acl.conf", emqx_acl()


def _comment(text: str) -> str:
    return "\n".join(f"# {line}" for line in textwrap.wrap(text, WIDTH - 2))


if __name__ == "__main__":
    for path, content in files():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
