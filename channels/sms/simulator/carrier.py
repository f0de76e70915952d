"""Texts into the phone simulator's inbox: a capped Redis stream per number, named by the number's keyed digest."""

from __future__ import annotations

from redis.exceptions import RedisError

from channels.sms.contract import CarrierError, ErrorKind, Options, OptionsModel, Outgoing, Sent, Tools, read_options
from runtime.keyring import Keyring

#: texts kept per number, and seconds they are kept after the last one
INBOX_LIMIT = 100
INBOX_SECONDS = 86_400


def inbox(keyring: Keyring, msisdn: str) -> str:
    """The stream of one number, given as E.164 with ``+``. Entries: message_id, from, text, at (ISO 8601)."""
    return f"sim:inbox:{keyring.digest('inbox', msisdn.encode())[:16].hex()}"


class Carrier:
    """Delivers into the simulator. A text that comes twice shows twice: the page drops doubles by ``message_id``."""

    def __init__(self, _name: str, options: Options, tools: Tools) -> None:
        read_options(OptionsModel, options)
        self._redis = tools.redis
        self._keyring = tools.keyring

    #: the page shows a message id once
    drops_doubles = True

    async def start(self) -> None:
        """Nothing to open: the connections to Redis are the process's."""

    async def close(self) -> None:
        """Nothing to close."""

    async def send(self, outgoing: Outgoing) -> Sent:
        """Append to the inbox. Raises ``CarrierError``, always to be tried again."""
        name = inbox(self._keyring, outgoing.to)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.xadd(
            name,
            {
                "message_id": str(outgoing.message_id),
                "from": outgoing.sender,
                "text": outgoing.text,
                "at": outgoing.at.isoformat(),
            },
            maxlen=INBOX_LIMIT,
            approximate=False,
        )
        pipeline.expire(name, INBOX_SECONDS)
        try:
            await pipeline.execute()
        except (RedisError, OSError) as error:
            raise CarrierError(type(error).__name__, ErrorKind.RETRY) from error
        return Sent(str(outgoing.message_id))
