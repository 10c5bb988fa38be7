"""The certificates of our own listeners: renewed at a reload, and spoken of before they end."""

from collections.abc import Iterator, Mapping
from typing import Any

from twisted.logger import Logger

from gatewayd.config.endpoint_words import plainly
from gatewayd.core.model import Degraded
from gatewayd.core.validity import ending, until
from gatewayd.http.certificates import UNUSABLE
from gatewayd.http.ports import Listener

log = Logger()


class ListenerCertificates:
    """Those of `listeners`, by the names of their tables in the file. `clock` gives seconds since the epoch."""

    def __init__(self, clock: Any, listeners: Mapping[str, Listener]) -> None:
        self._clock = clock
        self._listeners = listeners

    def reload(self) -> None:
        """Read them again. New connections are shown what there is now; where that can't be used, the former one."""
        for table, listener in self._listeners.items():
            for shown in listener.certificates:
                try:
                    renewed = shown.read_again()
                except UNUSABLE as error:
                    log.error(
                        "[{table}] shows the former certificate, valid until {until}: the files of {endpoint} can't be"
                        " used: {why}",
                        table=table,
                        until=until(shown.certificate),
                        endpoint=shown.description,
                        why=plainly(error, shown.description),
                    )
                else:
                    log.info(
                        "[{table}] shows {which} certificate on {endpoint}, valid until {until}",
                        table=table,
                        which="a new" if renewed else "the same",
                        endpoint=shown.description,
                        until=until(shown.certificate),
                    )

    def degraded(self) -> Iterator[Degraded]:
        """Which ends soon or has ended; one of each table."""
        for table, listener in self._listeners.items():
            for shown in listener.certificates:
                if why := ending(shown.certificate, self._clock.seconds()):
                    text = f"the certificate of [{table}] {why}: who calls there will not believe it"
                    yield Degraded("certificate", table, f"{text}; a renewed one counts after a reload")
