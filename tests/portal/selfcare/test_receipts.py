"""Receipts: on a page, as a file that proves itself, on paper, and by a payment's reference for anybody."""

from __future__ import annotations

import io
import json
from pathlib import Path

import aiohttp
import pytest
from pypdf import PdfReader
from typer.testing import CliRunner

from commands.receipt import app
from engine.audit.export import keys_json
from engine.audit.receipts import check
from engine.audit.rules import Signer
from portal.selfcare.receipts import ASKED
from tests.portal.selfcare.conftest import QATAR, Caller, Running, calling

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def bought(server: Running) -> str:
    """The path of the receipt of the line's bundle."""
    (done,) = await server.engine.operations((await server.line()).account, kinds=["purchase"])
    return f"/receipts/{done.answer.key}"


async def test_the_signed_file_holds_against_the_public_key(server: Running, caller: Caller) -> None:
    path = await bought(server)
    assert check_fails(server, await caller.data(path + ".json"))
    await server.engine.seal_history()
    signed = check(await caller.data(path + ".json"), Signer(server.services.keyring).public_keys())
    assert signed.receipt["kind"] == "purchase"
    status, page = await caller.get(path)
    assert status == 200 and signed.receipt["reference"] in page and "Sealed" in page
    assert f'href="/portal{path}"' in (await caller.get("/receipts"))[1]


def check_fails(server: Running, data: bytes) -> bool:
    """Whether a receipt has no proof yet."""
    return json.loads(data)["proof"] is None and json.loads(data)["chained_by"] is not None


@pytest.mark.parametrize("place", [QATAR], indirect=True)
async def test_the_paper_is_in_the_persons_script_and_is_verified_without_us(
    server: Running, caller: Caller, tmp_path: Path
) -> None:
    await server.engine.seal_history()
    path = await bought(server)
    paper = await caller.data(path + ".pdf")
    said = PdfReader(io.BytesIO(paper)).pages[0].extract_text()
    assert "إيصال" in said and json.loads(await caller.data(path + ".json"))["receipt"]["reference"] in said
    file, keys = tmp_path / "receipt.pdf", tmp_path / "keys.json"
    file.write_bytes(paper)
    keys.write_bytes(keys_json(Signer(server.services.keyring).public_keys()))
    verified = CliRunner().invoke(app, ["verify", str(file), "--keys", str(keys)])
    assert verified.exit_code == 0, verified.output
    file.write_bytes(b"%PDF-1.7 torn")
    assert CliRunner().invoke(app, ["verify", str(file), "--keys", str(keys)]).exit_code == 2


async def test_nobody_sees_the_receipt_of_another_account(server: Running) -> None:
    path = await bought(server)
    async with calling(server, server.services.operator.demo.subscribers[1].msisdn) as other:
        for end in ("", ".json", ".pdf"):
            assert (await other.get(path + end))[0] == 404


async def test_a_reference_that_is_no_payments_is_not_found_and_cannot_be_tried_for_long(server: Running) -> None:
    async with aiohttp.ClientSession() as anybody:
        statuses = []
        for _ in range(ASKED + 1):
            async with anybody.get(f"{server.url}/receipts/7F3K9Q") as answer:
                statuses.append(answer.status)
                assert answer.content_type == "application/problem+json"
    assert statuses == [404] * ASKED + [429]
