"""What each version of Redis says when it does not do a command now, word for word."""

import pytest

from gatewayd.store.refusals import refusal

SHA = "da8455f0535fd532821b3713a4eccd80fc4b8457"
SIX = f"ERR Error running script (call to f_{SHA}): @user_script:12: "
SEVEN = f" script: {SHA}, on @user_script:12."
NINE = " script: on @user_script:12."

MISSING_RIGHTS = [
    "NOPERM this user has no permissions to run the 'eval' command or its subcommand",
    "NOPERM this user has no permissions to run the 'eval' command",
    "NOPERM this user has no permissions to access one of the keys used as arguments",
    "NOPERM User default has no permissions to run the 'evalsha' command",
    "NOPERM No permissions to access a key",
    SIX + "@user_script: 12: Unknown Redis command called from Lua script",
    "ERR Unknown Redis command called from script" + SEVEN,
    "ERR Unknown Redis command called from script" + NINE,
    SIX + "@user_script: 12: The user executing the script can't run this command or subcommand",
    SIX + "@user_script: 12: The user executing the script can't access at least one of the keys mentioned in the"
    " command arguments",
    "ERR The user executing the script can't run this command or subcommand" + SEVEN,
    "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments"
    + SEVEN,
    "ERR ACL failure in script: User u has no permissions to run the 'incr' command" + SEVEN,
    "ERR ACL failure in script: User u has no permissions to run the 'incr' command" + NINE,
    "ERR ACL failure in script: No permissions to access a key" + NINE,
]
WRONG_TYPES = [
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "WRONGTYPE Operation against a key holding the wrong kind of value" + SEVEN,
    "ERR WRONGTYPE Operation against a key holding the wrong kind of value" + SEVEN,
    SIX + "@user_script: 12: WRONGTYPE Operation against a key holding the wrong kind of value",
    SIX + "-WRONGTYPE Operation against a key holding the wrong kind of value",
]
LATER = [
    "LOADING Redis is loading the dataset in memory",
    "LOADING Valkey is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "OOM command not allowed when used memory > 'maxmemory'." + SEVEN,
    SIX + "@user_script: 12: -OOM command not allowed when used memory > 'maxmemory'.",
    SIX + "-OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Errors writing to the AOF file: No space left on device",
    SIX + "@user_script: 12: -MISCONF Redis is configured to save RDB snapshots, but it is currently not able to",
    "NOREPLICAS Not enough good replicas to write." + NINE,
    "CLUSTERDOWN The cluster is down",
    "CLUSTERDOWN Hash slot not served",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    SIX + "@user_script: 12: Lua script attempted to execute a command while the cluster is down",
    SIX + "@user_script: 12: Lua script attempted to execute a write command while the cluster is down and readonly",
    "ERR Script attempted to execute a command while the cluster is down" + SEVEN,
    "ERR Script attempted to execute a write command while the cluster is down and readonly" + SEVEN,
    "ERR Can not execute a command 'set' while the cluster is down" + NINE,
    "ERR Can not execute a write command 'incrby' while the cluster is down and readonly" + NINE,
    f"ERR Error running script (call to f_{SHA}): Script killed by user with SCRIPT KILL...",
    "ERR max number of clients reached",
    f"ERR unknown command `EVALSHA`, with args beginning with: `{SHA}`, `1`, `gatewayd:{{gw}}:`, ",
    f"ERR unknown command 'EVALSHA', with args beginning with: '{SHA}' '1' 'gatewayd:{{gw}}:' 'hidden' ",
    "ERR unknown command 'EVAL', with args beginning with: 'return 1' 'hidden' ",
]
ELSEWHERE = [
    "READONLY You can't write against a read only replica.",
    "READONLY You can't write against a read only replica." + SEVEN,
    SIX + "@user_script: 12: -READONLY You can't write against a read only replica.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MOVED 3999 127.0.0.1:6381",
    "ASK 3999 127.0.0.1:6381",
    "NOAUTH Authentication required.",
    "REDIRECT 127.0.0.1:6381",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
]
OURS = [
    "ERR unknown command 'NONSENSE', with args beginning with: ",
    "ERR user_script:3: attempt to index a nil value" + SEVEN,
    "CROSSSLOT Keys in request don't hash to the same slot",
    "ERR OOMPH is no code",
    "",
]


@pytest.mark.parametrize("text", MISSING_RIGHTS + WRONG_TYPES + LATER + ELSEWHERE)
def test_what_redis_does_not_do_now_is_a_refusal(text: str) -> None:
    """Of every version; its reason names neither our script nor the place in it."""
    found = refusal(text)
    assert found is not None
    assert "user_script" not in found.reason
    assert SHA not in found.reason
    assert "hidden" not in found.reason
    assert found.elsewhere == (text in ELSEWHERE)


@pytest.mark.parametrize("text", OURS)
def test_a_fault_of_ours_is_none(text: str) -> None:
    """It is a bug, and its text is for the log."""
    assert refusal(text) is None


def test_what_ends_a_script_leaves_it_half_done() -> None:
    """Its first commands may have been done: whoever is told that nothing was stored must take it back."""
    texts = MISSING_RIGHTS + WRONG_TYPES
    half = [text for text in texts if not text.startswith("NOPERM")]
    assert [text for text in texts if not refusal(text).untouched] == half  # type: ignore[union-attr]
