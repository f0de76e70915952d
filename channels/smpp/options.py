"""What can be set for one message centre, whatever is spoken with it: where it is, who we are, its habits."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from channels.smpp.client.link import Account
from channels.smpp.client.words import Limits
from channels.smpp.policy import Verdict, read_overrides
from channels.smpp.text import Alphabet
from configuration.options import OptionsModel, WrongOptions

VERSIONS = {"3.4": 0x34, "5.0": 0x50}


def _overrides(spelled: str) -> str:
    read_overrides(spelled)
    return spelled


def _file(path: str) -> str:
    if path and not Path(path).is_file():
        raise ValueError("there is no such file")
    return path


class CentreOptions(OptionsModel):
    """One message centre."""

    host: str = Field(min_length=1)
    port: int = Field(default=2775, ge=1, le=65535)
    #: SMPP 3.4 §5.2.1 and §5.2.2 bound what goes on the wire
    system_id: str = Field(min_length=1, max_length=15)
    password: str = Field(max_length=8, repr=False)
    system_type: str = Field(default="", max_length=12)
    version: Literal["3.4", "5.0"] = "3.4"
    #: one session for both ways, or one for each
    bind: Literal["transceiver", "separate"] = "transceiver"
    #: the addresses whose messages come to us; empty: the centre decides
    address_range: str = Field(default="", max_length=40)

    tls: bool = False
    #: who signed the centre's certificate; empty: whom the system trusts
    ca_file: Annotated[str, AfterValidator(_file)] = ""
    #: our certificate and its key, where the centre asks for one
    certificate_file: Annotated[str, AfterValidator(_file)] = ""
    key_file: Annotated[str, AfterValidator(_file)] = ""

    #: our messages that may wait for an answer at the same time
    window: int = Field(default=10, ge=1, le=1000)
    #: seconds an answer may take before what became of the message counts as unknown
    answer_seconds: int = Field(default=10, ge=1, le=300)
    #: seconds of silence before the centre is asked for a sign of life
    enquire_seconds: int = Field(default=30, ge=1, le=3600)
    #: the longest wait between two tries to connect, and the longest silence after "too fast"
    longest_wait_seconds: int = Field(default=60, ge=1, le=3600)

    #: what ``data_coding`` 0 means there
    default_alphabet: Alphabet = Alphabet.GSM
    service_type: str = Field(default="", max_length=5)
    #: its own meanings of statuses: ``0x402=permanent, 0x403=throttled``
    statuses: Annotated[str, AfterValidator(_overrides)] = ""

    @model_validator(mode="after")
    def _certificates_agree(self) -> Self:
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificate_file and key_file go together")
        if not self.tls and (self.ca_file or self.certificate_file):
            raise ValueError("certificates without tls")
        return self

    @property
    def verdicts(self) -> Mapping[int, Verdict]:
        """The centre's own meanings of statuses."""
        return read_overrides(self.statuses)

    def account(self) -> Account:
        """What a link needs. Raises ``WrongOptions`` for certificates that cannot be used."""
        try:
            tls = self._tls() if self.tls else None
        except OSError as error:  # ``ssl.SSLError`` is one too
            raise WrongOptions([("tls", f"certificates cannot be used: {type(error).__name__}")]) from None
        return Account(
            host=self.host,
            port=self.port,
            system_id=self.system_id,
            password=self.password,
            system_type=self.system_type,
            interface_version=VERSIONS[self.version],
            address_range=self.address_range,
            tls=tls,
            limits=self.limits(),
            backoff_longest=self.longest_wait_seconds,
            throttle_longest=self.longest_wait_seconds,
            verdicts=self.verdicts,
        )

    def limits(self) -> Limits:
        """What one session carries."""
        return Limits(window=self.window, answer_seconds=self.answer_seconds, enquire_seconds=self.enquire_seconds)

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.certificate_file:
            context.load_cert_chain(self.certificate_file, self.key_file)
        return context
