"""Nothing but public addresses is dialled, whatever a name or a URL says."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.egress import AddressRules, Egress, EgressFailed, check_url
from gridmill.kit.egress.client import READ_BYTES, UNREACHABLE

NONE = AddressRules()
LOOPBACK = AddressRules((ip_network("127.0.0.0/8"),), allow_http=True)


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.31.0.1"),
        *("192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.19.0.1", "198.51.100.1"),
        *("203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1"),
        *("::ffff:8.8.8.8", "::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1"),
        *("64:ff9b::7f00:1", "64:ff9b:1::1", "2001::1", "2002:7f00:1::1", "2001:db8::1"),
        *("3fff::1", "5f00::1", "fe80::1", "fe80::1%1", "fec0::1", "fc00::1", "fd00::1"),
        *("ff02::1", "100::1", "2606:4700::5efe:7f00:1", "not an address", ""),
    ],
)
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    assert not NONE.admits(text)


@pytest.mark.parametrize("text", ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700::1111"])
def test_a_public_address_is_admitted(text: str) -> None:
    assert NONE.admits(text)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_whatever_python_knows_as_not_global_is_refused(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not NONE.admits(str(address))


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:0", "64:ff9b::", "::ffff:0:0:0", "::"]))
def test_an_ipv4_address_in_ipv6_clothes_is_refused(address: IPv4Address, prefix: str) -> None:
    assert not NONE.admits(str(IPv6Address(int(ip_address(prefix)) | int(address))))


@given(st.ip_addresses(v=4))
def test_the_operators_list_admits_its_networks_and_no_more(address: IPv4Address) -> None:
    listed = AddressRules((ip_network("10.0.0.0/8"),))
    inside = address in ip_network("10.0.0.0/8")
    assert listed.admits(str(address)) == (inside or NONE.admits(str(address)))


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "ftp://example.com/", "example.com", "https://", "https:///x"),
        *("https://u:p@example.com/", "https://u@example.com/", "https://@example.com/"),
        *("https://example.com:0/", "https://example.com:65536/", "https://example.com:x/"),
        *("https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://127.1/"),
        *(
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://localhost/",
            "https://a.LOCALHOST./",
        ),
        *(
            "https://169.254.169.254/latest",
            "https://exa mple.com/",
            "https://a\\@b/",
            "https://é/",
        ),
        *(
            "https://example.com/\n",
            "https://[fe80::1%25eth0]/",
            "https://example.com/" + "a" * 2048,
        ),
    ],
)
def test_a_url_that_leads_nowhere_good_is_refused(url: str) -> None:
    assert check_url(url, NONE) is not None


@pytest.mark.parametrize("url", ["https://example.com", "https://a.example:8443/x?y=%20z"])
def test_an_https_url_of_a_public_host_is_taken(url: str) -> None:
    assert check_url(url, NONE) is None


@given(st.text(max_size=80))
def test_any_text_gets_a_verdict(text: str) -> None:
    check_url(text, NONE)
    check_url(f"https://{text}", LOOPBACK)


class _Changing(AbstractResolver):
    """Answers with one list of addresses after the other, the last one for good."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for one in found
        ]

    async def close(self) -> None:
        pass


class _Receiver:
    def __init__(self) -> None:
        self.hits = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.hits += 1
        if request.path == "/away":
            raise web.HTTPFound("/there")
        return web.Response(body=b"x" * 200_000, headers={"Retry-After": "7"})

    async def start(self) -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_post("/{tail:.*}", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]


@pytest.mark.parametrize(
    ("rules", "answers", "hits"),
    [
        (AddressRules(allow_http=True), [["127.0.0.1"]], 0),
        (LOOPBACK, [["127.0.0.1", "10.0.0.1"]], 0),
        (LOOPBACK, [["127.0.0.1"], ["10.0.0.1"]], 1),
    ],
    ids=["an internal answer", "one bad answer of two", "an answer that changes"],
)
async def test_a_name_is_judged_by_every_address_at_each_dialling(
    rules: AddressRules, answers: list[list[str]], hits: int
) -> None:
    receiver = _Receiver()
    runner, port = await receiver.start()
    egress = Egress(rules, _Changing(*answers))
    said: list[str] = []
    try:
        for _ in range(2):
            try:
                await egress.post(f"http://rebinding.example:{port}/", b"{}", {})
            except EgressFailed as error:
                said.append(str(error))
    finally:
        await egress.close()
        await runner.cleanup()
    assert receiver.hits == hits
    assert said == [UNREACHABLE] * (2 - hits)


async def test_the_socket_itself_refuses_when_a_resolver_lies() -> None:
    receiver = _Receiver()
    runner, port = await receiver.start()
    egress = Egress(AddressRules(allow_http=True), _Changing(["8.8.8.8"]))
    # What the guarded resolver admitted is dialled as something else: the second look counts.
    egress._session.connector._resolver = _Changing(["127.0.0.1"])  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    try:
        with pytest.raises(EgressFailed, match=UNREACHABLE):
            await egress.post(f"http://rebinding.example:{port}/", b"{}", {})
    finally:
        await egress.close()
        await runner.cleanup()
    assert receiver.hits == 0


async def test_redirects_are_not_followed_and_replies_not_read_to_their_end() -> None:
    receiver = _Receiver()
    runner, port = await receiver.start()
    egress = Egress(LOOPBACK)
    try:
        away = await egress.post(f"http://127.0.0.1:{port}/away", b"{}", {})
        reply = await egress.post(f"http://127.0.0.1:{port}/", b"{}", {})
    finally:
        await egress.close()
        await runner.cleanup()
    assert (away.status, reply.status, receiver.hits) == (302, 200, 2)
    assert len(reply.body) == READ_BYTES
    assert reply.retry_after == "7"
