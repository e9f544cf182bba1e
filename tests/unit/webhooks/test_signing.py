"""Signatures are those that code from elsewhere makes; retries follow the schedule."""

import base64
import subprocess
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook as StandardWebhook

from gridmill.webhooks.model import SCHEDULE, SignatureFormat, check_headers, choose_delay, sign

SECRET = "sixteen letters!"
BODY = b'{"a":1}'


def by_openssl(signed: bytes) -> str:
    command = ["openssl", "dgst", "-sha256", "-hmac", SECRET]
    done = subprocess.run(command, input=signed, capture_output=True, check=True)
    return done.stdout.decode().split()[-1]


@pytest.mark.parametrize("written", SignatureFormat)
def test_the_plain_signature_is_what_openssl_makes(written: SignatureFormat) -> None:
    headers = sign("m", BODY, [SECRET], written, datetime.now(UTC))
    seconds = headers["webhook-timestamp"]
    timed = by_openssl(seconds.encode() + b"." + BODY)
    expected = {
        SignatureFormat.HEX: by_openssl(BODY),
        SignatureFormat.SHA256: "sha256=" + by_openssl(BODY),
        SignatureFormat.TIMESTAMPED: f"t={seconds},v1={timed}",
    }
    assert headers["X-Webhook-Signature"] == expected[written]


@pytest.mark.parametrize("secret", [SECRET, "the one before it"])
def test_both_secrets_of_a_rotation_verify_with_the_standard_library(secret: str) -> None:
    secrets = [SECRET, "the one before it"]
    headers = sign("m", BODY, secrets, SignatureFormat.HEX, datetime.now(UTC))
    shown = "whsec_" + base64.b64encode(secret.encode()).decode()
    StandardWebhook(shown).verify(BODY, headers)


def test_delays_follow_the_schedule_and_what_the_endpoint_asks() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert [choose_delay(n, None, moment, 0) for n in range(1, 10)] == list(SCHEDULE)
    assert choose_delay(10, None, moment, 0) is None
    assert choose_delay(1, "60", moment, 0) == 60
    assert choose_delay(1, "9999999", moment, 0) == 86_400
    assert choose_delay(1, "Tue, 01 Jan 2030 00:01:00 GMT", moment, 0) == 60
    assert choose_delay(1, "soon", moment, 1) == pytest.approx(5.5)


@pytest.mark.parametrize("name", ["Host", "content-type", "Webhook-Id", "Connection", "a b", ""])
def test_headers_that_are_not_the_clients_to_set_are_refused(name: str) -> None:
    assert check_headers({name: "x"}) is not None
    assert check_headers({"X-Own": "x\r\ny"}) is not None
    assert check_headers({"X-Own": "x"}) is None
