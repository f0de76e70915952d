"""Staff accounts: made and ended by the operator, signed in to with a password and a one-time code."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.secrets import hash_secret, is_stale, secret_matches
from engine.audit.service import Trail
from engine.staff import store
from engine.staff.rules import (
    accepted_step,
    check_name,
    check_password,
    fresh_secret,
    provisioning_uri,
)
from engine.storage.sharding import new_id
from engine.words import BadStaff, Role, StaffMember
from runtime.keyring import Keyring

#: what the pepper of passwords, and the key that the secrets of one-time codes are sealed under, are derived for
PASSWORD, CODE = "staff-password", "staff-code"


class Credentials(NamedTuple):
    """What a person signs in with. It is told once and kept nowhere."""

    name: str
    role: Role
    password: str
    #: of the one-time codes, base 32
    secret: str
    #: the secret as authenticator apps read it
    uri: str


class Staff:
    """The people of one operator."""

    def __init__(self, database: AsyncEngine, keyring: Keyring, trail: Trail, issuer: str) -> None:
        """``issuer`` is what authenticator apps show beside a person's name."""
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._keyring = keyring
        self._trail = trail
        self._issuer = issuer
        # One password takes 30 ms of CPU: whoever tries many must not fill every core with them.
        self._hashing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="staff")
        self._nobody = ""

    def close(self) -> None:
        """Let the thread go."""
        self._hashing.shutdown()

    # -- signing in ---

    async def member(self, staff_id: UUID) -> StaffMember | None:
        """A person by id."""
        async with self._reads.connect() as connection:
            return await store.member(connection, staff_id)

    async def sign_in(self, name: str, password: str, code: str) -> StaffMember | None:
        """The person, if name, password and one-time code are right; None for whatever reason, in about the same time.

        Each try counts as wrong in Postgres before anything is compared; too many lock, and then the right words
        are refused too. What came of it stands in the audit trail.
        """
        now = datetime.now(UTC)
        async with self._database.begin() as connection:
            tried = await store.count_try(connection, name.strip(), now)
        if tried is None:
            # As long as for somebody: how long it took tells nothing.
            await self._in_thread(secret_matches, self._keyring, PASSWORD, UUID(int=0), password, await self._decoy())
            return None
        member = tried.member
        owner, hashed = member.staff_id, tried.password_hash
        right = await self._in_thread(secret_matches, self._keyring, PASSWORD, owner, password, hashed)
        secret = self._keyring.unseal(CODE, tried.sealed_secret, owner.bytes, tried.key_id).decode()
        step = accepted_step(secret, code, now, tried.code_step)
        if right and is_stale(self._keyring, hashed):
            hashed = await self._hash(owner, password)
        async with self._database.begin() as connection:
            if right and step is not None and await store.let_in(connection, tried, step, now, hashed):
                await self._record(connection, "staff.sign_in", member, by=member.name, why="signed in")
                return member
            why = "wrong password or code" if tried.locked_until is None else "wrong once too often: locked"
            await self._record(connection, "staff.sign_in.refused", member, by=member.name, why=why)
        return None

    async def change_password(self, member: StaffMember, password: str) -> None:
        """Set a person's own new password; their sessions are over. They have proved the old one by ``sign_in``.

        Raises ``BadStaff``.
        """
        hashed = await self._hash(member.staff_id, check_password(password, member.name))
        async with self._database.begin() as connection:
            await store.end_sessions(connection, member.staff_id, password_hash=hashed)
            await self._record(connection, "staff.password", member, by=member.name, why="changed by themselves")

    # -- the life of an account ---

    async def members(self) -> list[StaffMember]:
        """Everybody, by name."""
        async with self._reads.connect() as connection:
            return await store.members(connection)

    async def may_be_one(self, asker: str, decider: StaffMember) -> bool:
        """Whether who asked (a name) and who decides may be one person, for what needs two of the staff."""
        async with self._reads.connect() as connection:
            found = await store.named(connection, asker)
            if found is None:  # who runs the machine
                return asker == decider.name
            return await store.in_same_hands(connection, found.staff_id, decider.staff_id)

    async def add(self, name: str, role: Role, *, by: StaffMember | str, why: str) -> Credentials:
        """Make an account with a password and a secret drawn here. Raises ``BadStaff``, also for a name taken.

        ``by`` is the administrator who is shown both and knows them from then on: no second person for this one
        (``Requests.decide``). A text is who runs the machine, and no staff.
        """
        staff_id, name, now = new_id(), check_name(name), datetime.now(UTC)
        fresh = await self._fresh(staff_id, name, role)
        try:
            async with self._database.begin() as connection:
                row = {"staff_id": staff_id, "name": name, "role": role.value, "created_at": now}
                await store.insert(connection, **row, **fresh.columns, **_given(by, now))
                member = StaffMember(
                    staff_id=staff_id, name=name, role=role, epoch=0, created_at=now, credentials_at=now
                )
                await self._record(connection, "staff.add", member, by=_name_of(by), why=why)
        except IntegrityError:
            raise BadStaff(f"name: {name} is taken", "taken") from None
        return fresh.credentials

    async def reset(self, name: str, *, by: StaffMember | str, why: str) -> Credentials:
        """New password and secret for who lost theirs or comes back; locks and sessions end. Raises ``BadStaff``.

        ``by`` as for ``add``.
        """
        member = await self._named(name)
        fresh = await self._fresh(member.staff_id, member.name, member.role)
        anew = {"code_step": 0, "failures": 0, "locked_until": None, "disabled_at": None}
        async with self._database.begin() as connection:
            given = _given(by, datetime.now(UTC))
            await store.end_sessions(connection, member.staff_id, **fresh.columns, **anew, **given)
            await self._record(connection, "staff.reset", member, by=_name_of(by), why=why)
        return fresh.credentials

    async def disable(self, name: str, *, by: str, why: str) -> None:
        """Nobody signs in with this name any more, and its sessions are over. Raises ``BadStaff``."""
        member = await self._named(name)
        async with self._database.begin() as connection:
            await store.end_sessions(connection, member.staff_id, disabled_at=datetime.now(UTC))
            await self._record(connection, "staff.disable", member, by=by, why=why)

    # -- parts ---

    async def _named(self, name: str) -> StaffMember:
        async with self._reads.connect() as connection:
            member = await store.named(connection, name.strip())
        if member is None:
            raise BadStaff(f"name: nobody is called {name.strip()}", "unknown")
        return member

    async def _fresh(self, staff_id: UUID, name: str, role: Role) -> _Fresh:
        password, secret = secrets.token_urlsafe(15), fresh_secret()
        columns = {
            "password_hash": await self._hash(staff_id, password),
            "sealed_secret": self._keyring.seal(CODE, secret.encode(), staff_id.bytes),
            "key_id": self._keyring.current,
        }
        uri = provisioning_uri(secret, name, self._issuer)
        return _Fresh(columns, Credentials(name, role, password, secret, uri))

    async def _hash(self, staff_id: UUID, password: str) -> str:
        hashed: str = await self._in_thread(hash_secret, self._keyring, PASSWORD, staff_id, password)
        return hashed

    async def _decoy(self) -> str:
        if not self._nobody:
            self._nobody = await self._hash(UUID(int=0), secrets.token_urlsafe(15))
        return self._nobody

    async def _record(self, connection: Any, what: str, member: StaffMember, *, by: str, why: str) -> None:
        detail = {"staff_id": str(member.staff_id), "name": member.name, "role": member.role.value}
        await self._trail.record(what, by=by, why=why, detail=detail, connection=connection)

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._hashing, function, *arguments)


class _Fresh(NamedTuple):
    columns: dict[str, Any]
    credentials: Credentials


def _given(by: StaffMember | str, at: datetime) -> dict[str, Any]:
    """Who knows these credentials beside their person, for the row."""
    return {"credentials_by": by.staff_id if isinstance(by, StaffMember) else None, "credentials_at": at}


def _name_of(by: StaffMember | str) -> str:
    return by.name if isinstance(by, StaffMember) else by
