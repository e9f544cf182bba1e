"""What an operator is told of a database whose role nothing binds."""

import re
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from gridmill.bootstrap.parts import open_api, prepare_database
from gridmill.cli.doctor import Mark, examine
from gridmill.settings import load_settings
from tests.support.postgres import Server, open_to_role


@pytest.mark.parametrize("passes_policies", [False, True])
async def test_a_role_that_passes_row_security_is_warned_of_at_the_start_and_by_the_doctor(
    postgres: Server, tmp_path: Path, passes_policies: bool
) -> None:
    with open_to_role(postgres, passes_policies=passes_policies) as (url, _):
        await prepare_database(url)
        settings = load_settings(data_dir=tmp_path, database_url=SecretStr(url))
        with capture_logs() as lines:
            async with open_api(settings, url):
                pass
        said = [line for line in lines if "row security" in line["event"]]
        assert [line["log_level"] for line in said] == ["warning"] * passes_policies
        found = [
            finding
            async for finding in examine(settings, ask=False)
            if finding.subject == "row security"
        ]
        assert [finding.mark for finding in found] == [Mark.WARN if passes_policies else Mark.OK]
        assert ("NOBYPASSRLS" in found[0].text) is passes_policies


async def test_what_the_doctor_says_mends_it(postgres: Server, tmp_path: Path) -> None:
    with open_to_role(postgres, passes_policies=True) as (url, _):
        await prepare_database(url)
        settings = load_settings(data_dir=tmp_path, database_url=SecretStr(url))
        marks: list[Mark] = []
        for _ in range(2):
            async for finding in examine(settings, ask=False):
                if finding.subject == "row security":
                    marks.append(finding.mark)
                    said = re.search(r"ALTER ROLE .*?;", finding.text)
                    if said is not None:
                        with psycopg.connect(postgres.url, autocommit=True) as superuser:
                            superuser.execute(said[0].encode())
        assert marks == [Mark.WARN, Mark.OK]
