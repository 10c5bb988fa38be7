"""An SMSC on the package smpp34, run as a process of its own; the same JSON lines as smpp_npm_peer.js."""

import asyncio
import json
import sys
from typing import Any

import smpp34
from outside_ports import free_port

how: dict[str, Any] = json.loads(sys.argv[1])
report: dict[str, Any] = {"binds": 0, "submits": 0, "acknowledged": 0, "messages": [], "unbound": 0, "again": 0}


def say(told: dict[str, Any]) -> None:
    """A line to the test."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def receipt(submit: Any, remote_id: str) -> dict[str, Any]:
    """The fields of the deliver_sm on `submit`."""
    text = f"id:{remote_id} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:x"
    tlvs = [
        smpp34.Tlv(smpp34.TLV_RECEIPTED_MESSAGE_ID, remote_id.encode() + b"\0"),
        smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, b"\x02"),
    ]
    return {
        "destination_addr": submit.source_addr,
        "source_addr": submit.destination_addr,
        "source_addr_ton": 1,
        "source_addr_npi": 1,
        "esm_class": 4,
        "short_message": text.encode() if how.get("form") != "tlv" else b"",
        "tlvs": tlvs if how.get("form") != "text" else [],
    }


async def tell(esme: Any, fields: dict[str, Any]) -> None:
    """Deliver a receipt after a little while; where a busy machine was too slow to answer it, again."""
    await asyncio.sleep(how.get("receipt_delay", 0.02))
    for _ in range(5):
        try:
            answer = await esme.deliver_sm(**fields)
        except smpp34.SmppError:
            report["again"] += 1
        else:
            report["acknowledged"] += answer.is_success
            return


async def serve(server: Any) -> None:
    """Answer submits, and tell what became of them."""
    esmes: dict[str, Any] = {}
    telling = set()
    number = 9_000_000
    while True:
        event = await server.next()
        if isinstance(event, smpp34.Esme):
            report["binds"] += 1
            esmes[event.session_id] = event
        elif isinstance(event, smpp34.Unbound):
            report["unbound"] += 1
            esmes.pop(event.session_id, None)
        else:
            report["submits"] += 1
            if how.get("status"):
                event.reject(how["status"])
                continue
            number += 1
            event.accept(str(number))
            payload = event.short_message or b"".join(tlv.value for tlv in event.tlvs if tlv.tag == 0x0424)
            report["messages"].append(
                {
                    "source": event.source_addr,
                    "ton": event.source_addr_ton,
                    "destination": event.destination_addr,
                    "octets": payload.hex(),
                    "esm_class": event.esm_class,
                    "registered": event.registered_delivery,
                    "dcs": event.data_coding,
                }
            )
            receiver = next((each for each in esmes.values() if each.can_receive), None)
            if receiver is not None and event.registered_delivery:
                task = asyncio.create_task(tell(receiver, receipt(event, str(number))))
                telling.add(task)
                task.add_done_callback(telling.discard)


async def obey() -> None:
    """Each line on standard input changes the behaviour and asks for the report."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        how.update(json.loads(line))
        say(report)


async def main() -> None:
    """Listen on a free port, say which, and serve until standard input ends."""
    port = free_port()
    server = smpp34.Server("127.0.0.1", port, system_id="smpp34")
    await server.start()
    say({"port": port})
    serving = asyncio.create_task(serve(server))
    await obey()
    serving.cancel()


asyncio.run(main())
