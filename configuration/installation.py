"""The installation's settings: where everything is and who may reach us. Read by ``settings.load_settings``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from configuration.base import NAME
from configuration.people import (
    CarrierSettings,
    ConsoleSettings,
    GatewaySettings,
    PaymentGatewaySettings,
    PortalSettings,
    TelegramSettings,
)
from configuration.systems import ApiKeySettings, DiameterSettings, RadiusSettings, UsageFolder, WebhookSettings
from runtime.keyring import Keyring

PREFIX = "RASID_"

#: variables under the names that other tools and platforms use for them
PLAIN = {
    "DATABASE_URL": "database_url",
    "DATABASE_OWNER_URL": "database_owner_url",
    "REDIS_URL": "redis_url",
    "PORT": "port",
}

#: the bot among those who carry messages: in routes, in metrics, and in what people ask for
CHAT = "telegram"

#: the books that may live in a database of their own; billing decides, so it is in ``database_url``
MOVABLE_BOOKS = ("receivables", "history", "provisioning")

#: where nothing is set: texts appear on the simulator's phone
SIMULATOR_ONLY = {"simulator": CarrierSettings(adapter="simulator", per_second=2000.0)}


def _a_key(value: str) -> str:
    try:
        size = len(bytes.fromhex(value))
    except ValueError:
        size = 0
    if size != 32 or len(value) != 64:
        raise ValueError("a master key is 64 hexadecimal digits (32 bytes)")
    return value


def _postgres_url(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("must start with postgresql://")
    return url


def _movable_book(name: str) -> str:
    if name not in MOVABLE_BOOKS:
        raise ValueError(f"no book that can live elsewhere; these can: {', '.join(MOVABLE_BOOKS)}")
    return name


def _redis_url(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with redis://, rediss:// or unix://")
    return url


BookName = Annotated[str, AfterValidator(_movable_book)]
#: rows name the key that made them in two bytes
KeyId = Annotated[int, Field(ge=0, le=32_767)]


class Settings(BaseSettings):
    """The settings of one installation. Made by ``load_settings``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    #: what the servers connect with; also ``DATABASE_URL``
    database_url: Annotated[str, AfterValidator(_postgres_url)] = Field(repr=False)
    #: who owns the tables and migrates them; also ``DATABASE_OWNER_URL``; by default ``database_url``
    database_owner_url: Annotated[str, AfterValidator(_postgres_url)] | None = Field(default=None, repr=False)
    #: whom events may be sent to
    webhooks: WebhookSettings = WebhookSettings()
    #: folder that the audit chain's signed roots are exported to, outside the database and best on storage that only
    #: appends; None: a tail cut off the chain goes unseen
    audit_export: Path | None = None
    #: book → address of the database that it lives in, where that is not ``database_url``. The same for all processes;
    #: after a change ``manage.py migrate`` says who may write what
    books: dict[BookName, Annotated[str, AfterValidator(_postgres_url)]] = Field(default={}, repr=False)
    #: book → who owns the tables there; by default the address in ``books``
    book_owners: dict[BookName, Annotated[str, AfterValidator(_postgres_url)]] = Field(default={}, repr=False)
    #: also ``REDIS_URL``
    redis_url: Annotated[str, AfterValidator(_redis_url)] = Field(repr=False)
    #: address that the HTTP server binds
    host: str = "0.0.0.0"  # noqa: S104 - gateways call from outside; ``allow`` says who may
    #: also ``PORT``
    port: int = Field(default=8080, ge=1, le=65535)
    #: the operator's file
    operator: Path
    #: master keys by id; the highest id is current
    keys: dict[KeyId, Annotated[str, AfterValidator(_a_key)]] = Field(min_length=1, repr=False)
    #: the phone at ``/simulator`` and its inbox: never on a public address
    simulator: bool = False
    #: address of the sandbox's packet core, whose sessions the simulator shows; empty: none
    simulator_core: str = Field(default="", pattern=r"^(https?://[^\s/?#]+)?$")
    #: writers of the engine in each process
    lanes: int = Field(default=2, ge=1, le=64)
    #: name in the path → gateway
    gateways: dict[Annotated[str, NAME], GatewaySettings] = {}
    #: name in the path, in routes and in metrics → who carries texts
    carriers: dict[Annotated[str, NAME], CarrierSettings] = Field(default=SIMULATOR_ONLY, min_length=1)
    #: name in the path, in routes and in metrics → who people pay through
    payment_gateways: dict[Annotated[str, NAME], PaymentGatewaySettings] = {}
    #: name of the client, as it stands in the audit trail → its key's digest and what it may do
    api_keys: dict[Annotated[str, NAME], ApiKeySettings] = {}
    telegram: TelegramSettings | None = None
    #: the self-care portal at ``/portal``; None: none
    portal: PortalSettings | None = None
    #: the operator's console at ``/console``; None: none
    console: ConsoleSettings | None = None
    #: the accounting server; None: none
    radius: RadiusSettings | None = None
    #: the online charging server for Gy; None: none
    diameter: DiameterSettings | None = None
    #: name of the collection point → where it puts its files; ``bot.py`` watches them
    usage_folders: dict[Annotated[str, NAME], UsageFolder] = {}
    #: where others reach the server from outside, ``https://host``: for status callbacks and webhooks
    public_url: str = Field(default="", pattern=r"^(https?://[^\s/?#]+)?$")
    #: where ``bot.py`` serves its own health and metrics; 0: nowhere (its carriers' health shows at the server)
    bot_port: int = Field(default=0, ge=0, le=65535)
    #: of so many percent of sessions all screens are remembered for a month, nameless: ``manage.py dialog funnel``
    funnel_percent: int = Field(default=10, ge=0, le=100)

    @model_validator(mode="after")
    def _webhooks_are_reachable(self) -> Self:
        if self.telegram is not None and self.telegram.mode == "webhook" and not self.telegram_url:
            raise ValueError("telegram.mode is webhook: public_url must say where Telegram reaches the server")
        return self

    @model_validator(mode="after")
    def _checkouts_are_payment_gateways(self) -> Self:
        for name, gateway in self.gateways.items():
            if gateway.checkout and gateway.checkout not in self.payment_gateways:
                raise ValueError(f"gateways.{name}.checkout: there is no payment gateway {gateway.checkout}")
        return self

    @model_validator(mode="after")
    def _owners_own_books(self) -> Self:
        strangers = sorted(self.book_owners.keys() - self.books.keys())
        if strangers:
            raise ValueError(f"book_owners names {', '.join(strangers)}, which books does not")
        at_home = sorted(book for book, url in self.books.items() if url == self.database_url)
        if at_home:
            raise ValueError(f"books names {', '.join(at_home)} with database_url's own address: leave it out")
        return self

    @field_validator("carriers")
    @classmethod
    def _carriers_are_no_chats(cls, carriers: dict[str, CarrierSettings]) -> dict[str, CarrierSettings]:
        if CHAT in carriers:
            raise ValueError(f"{CHAT} is the bot's name (telegram.token …): give this carrier another")
        return carriers

    @property
    def telegram_url(self) -> str:
        """Where Telegram reaches the server, or nothing."""
        return (self.telegram.public_url if self.telegram is not None else "") or self.public_url

    @property
    def payment_sandbox(self) -> str:
        """Where the sandbox's payment providers are played, or nothing: what becomes of a payment is said there."""
        found = (one.options.get("base_url") for one in self.payment_gateways.values() if one.adapter == "sandbox")
        return str(next(found, ""))

    @property
    def owner_url(self) -> str:
        """Who migrates: ``database_owner_url``, or ``database_url`` where none is set."""
        return self.database_owner_url or self.database_url

    @property
    def book_owner_urls(self) -> dict[str, str]:
        """Who migrates the databases of ``books``: ``book_owners``, or the address itself where none is set."""
        return {**self.books, **self.book_owners}

    def keyring(self) -> Keyring:
        """The master keys, ready for use."""
        return Keyring({key_id: bytes.fromhex(value) for key_id, value in self.keys.items()})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - passed by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - passed by name
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrules what ``load_settings`` has read from the file; nothing else is looked at."""
        return env_settings, _PlainVariables(settings_cls), init_settings


class _PlainVariables(PydanticBaseSettingsSource):
    """``DATABASE_URL`` and its kin, below their ``RASID_`` twins."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - given by the base
        """One plain variable; the base class asks for this method."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Field → value of the plain variables that are set and not empty."""
        return {field: os.environ[name] for name, field in PLAIN.items() if os.environ.get(name)}
