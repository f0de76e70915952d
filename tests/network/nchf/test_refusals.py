"""What Nchf_ConvergedCharging refuses: unknown lines and references, bad fields, strangers. Nothing is done."""

from __future__ import annotations

import json

import pytest

from engine.api import Engine
from runtime.logs import configure_logs
from tests.network.api import READ_KEY, Api
from tests.network.nchf.network import (
    MB,
    ROOT,
    asking,
    data_line,
    group,
    left,
    opening,
    resource,
)

#: more in all than anybody uses, in parts that each could be true
PETABYTES = {
    "ratingGroup": 1,
    "usedUnitContainer": [{"localSequenceNumber": number, "totalVolume": 2**49} for number in range(3)],
}


@pytest.mark.parametrize("name", ["imsi-639029999999999", "msisdn-254799999999", "nai-x@y.example", "gci-1", "gli-1"])
async def test_an_unknown_subscriber_is_404_user_unknown(api: Api, name: str) -> None:
    said = await api.post(ROOT, opening(name, group(wanted={})))
    assert (said.status, said.body["cause"]) == (404, "USER_UNKNOWN")


@pytest.mark.parametrize("path", ["update", "release"])
@pytest.mark.parametrize("ref", ["1", "", "%00", "A" * 83, "ä"])
async def test_an_unknown_reference_is_404(api: Api, path: str, ref: str) -> None:
    said = await api.post(f"{ROOT}/{ref}/{path}", asking(1))
    assert said.status == 404


async def test_a_reference_cannot_be_changed_into_another(api: Api, engine: Engine) -> None:
    line = await data_line(engine, MB)
    ref = resource(await api.post(ROOT, opening(line, group())))
    name = ref.rpartition("/")[2]
    for place in range(0, len(name), 9):
        changed = name[:place] + ("A" if name[place] != "A" else "B") + name[place + 1 :]
        assert (await api.post(f"{ROOT}/{changed}/update", asking(1, group(totalVolume=MB)))).status == 404
    assert await left(engine, line) == MB


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"nfConsumerIdentification": None}, "nfConsumerIdentification"),
        ({"nfConsumerIdentification": {}}, "nfConsumerIdentification.nodeFunctionality"),
        ({"invocationSequenceNumber": -1}, "invocationSequenceNumber"),
        ({"invocationSequenceNumber": 2**32}, "invocationSequenceNumber"),
        ({"invocationTimeStamp": "yesterday"}, "invocationTimeStamp"),
        ({"invocationTimeStamp": "2026-01-01T00:00:00"}, "invocationTimeStamp"),
        ({"invocationTimeStamp": "0001-01-01T00:00:00+14:00"}, "invocationTimeStamp"),
        ({"invocationTimeStamp": "9999-12-31T23:59:59-14:00"}, "invocationTimeStamp"),
        ({"invocationTimeStamp": "2001-01-01T00:00:00Z"}, "invocationTimeStamp"),
        ({"subscriberIdentifier": "254712345678"}, "subscriberIdentifier"),
        ({"subscriberIdentifier": "imsi-x"}, "subscriberIdentifier"),
        ({"notifyUri": "file:///etc/passwd"}, "notifyUri"),
        ({"multipleUnitUsage": [{}]}, "multipleUnitUsage[0].ratingGroup"),
        ({"multipleUnitUsage": [group(1, wanted={}), group(1, wanted={})]}, "multipleUnitUsage"),
        ({"multipleUnitUsage": [group(1, totalVolume=-5)]}, "multipleUnitUsage[0].usedUnitContainer[0].totalVolume"),
        ({"multipleUnitUsage": [group(1, wanted={"time": 1, "totalVolume": 1})]}, "multipleUnitUsage[0].requestedUnit"),
        ({"multipleUnitUsage": [PETABYTES]}, "multipleUnitUsage[0].usedUnitContainer"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_done(api: Api, engine: Engine, change: dict, field: str) -> None:
    line = await data_line(engine, MB)
    said = await api.post(ROOT, opening(line, group(wanted={})) | change)
    assert said.status == 400
    assert said.headers["Content-Type"].startswith("application/problem+json")
    assert (said.body["status"], said.body["cause"]) == (400, "CHARGING_FAILED")
    assert [one["param"] for one in said.body["invalidParams"]] == [field]
    assert await left(engine, line) == MB


async def test_without_a_subscriber_the_request_is_refused_by_name(api: Api) -> None:
    said = await api.post(ROOT, asking(0, group(wanted={})))
    assert said.body["invalidParams"] == [{"param": "subscriberIdentifier", "reason": "missing"}]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"x":' + b"[" * 100_000, b"null", b'"x"'])
async def test_what_is_no_request_is_400(api: Api, body: bytes) -> None:
    assert (await api.post(ROOT, body)).status == 400


@pytest.mark.parametrize("ignored", [b"9" * 5000, b"1e999", b'"\xff"'])
async def test_an_event_of_which_a_field_cannot_be_read_is_400_and_charges_nothing(
    api: Api, engine: Engine, ignored: bytes
) -> None:
    line = await data_line(engine, MB)
    asked = opening(line, group(wanted={"totalVolume": MB}), oneTimeEvent=True)
    said = await api.post(ROOT, json.dumps(asked).encode()[:-1] + b', "vendor": ' + ignored + b"}")
    assert (said.status, said.body["invalidParams"][0]["param"]) == (400, "body")
    assert await left(engine, line) == MB


@pytest.mark.parametrize(
    ("stated", "status"),
    [
        ("application/json; charset=utf-8", 201),
        ("application/vnd.3gpp+json", 201),
        ("text/plain", 415),
        ("application/xml", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
async def test_a_body_that_says_it_is_no_json_is_415_and_nothing_is_done(
    api: Api, engine: Engine, stated: str, status: int
) -> None:
    line = await data_line(engine, MB)
    body = json.dumps(opening(line, group(totalVolume=MB))).encode()
    said = await api.post(ROOT, body, headers={"Content-Type": stated})
    assert said.status == status
    if status == 415:
        assert said.headers["Content-Type"].startswith("application/problem+json")
        assert said.body["invalidParams"][0]["param"] == "Content-Type"
    assert await left(engine, line) == (MB if status == 415 else 0)


async def test_a_body_that_is_not_compressed_as_it_says_is_400_and_no_fault_of_ours(
    api: Api, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logs("ussd")
    said = await api.post(ROOT, b"{}", headers={"Content-Encoding": "gzip"})
    assert (said.status, said.body["invalidParams"][0]["param"]) == (400, "body")
    assert said.headers["Connection"] == "close"
    # Who is refused before the body is read sends it all the same.
    said = await api.post(ROOT, b"{}", headers={"Content-Encoding": "gzip", "Authorization": "none"})
    assert said.status == 401
    assert "Traceback" not in capfd.readouterr().err


async def test_a_body_that_is_too_long_is_413_whatever_it_says(api: Api) -> None:
    said = await api.post(ROOT, b" " * (256 * 1024 + 1))
    assert (said.status, said.body["status"]) == (413, 413)


async def test_without_a_known_key_401_and_without_the_right_403_and_no_key_in_the_log(
    api: Api, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    line = await data_line(engine, MB)
    asked = opening(line, group(wanted={}))
    for key in (None, "wrong-key-4711", ""):
        async with Api(api.base, key) as stranger:
            said = await stranger.post(ROOT, asked)
            assert (said.status, said.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert said.body["cause"] == "UNAUTHORIZED"
    async with Api(api.base, READ_KEY) as reader:
        said = await reader.post(ROOT, asked)
        assert (said.status, said.body["cause"]) == (403, "FORBIDDEN")
    logged = capsys.readouterr()
    written = logged.out + logged.err
    assert written.count("request_refused") == 4
    assert "4711" not in written and READ_KEY not in written
    assert await left(engine, line) == MB
