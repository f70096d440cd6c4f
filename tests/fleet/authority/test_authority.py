"""The folder with certificates and accounts."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from pathlib import Path

import bcrypt
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from fleet.authority.authority import Authority
from fleet.authority.credentials import write_credentials
from fleet.authority.passwords import hash_password, is_password, render_accounts
from fleet.errors import AddressError, AuthorityError, AuthorityMissingError

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
HERE = {"localhost", "127.0.0.1"}


def make(folder: Path, *, names: set[str] = HERE, now: dt.datetime = NOW) -> Authority:
    """An authority on a machine of these names, at this time."""
    authority = Authority(folder, names=lambda: set(names), now=lambda: now)
    authority.prepare()
    return authority


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def handshake(server_file: Path, ca_file: Path, name: str, *, strict: bool = True) -> None:
    """Shake hands in memory; raises what a client would see."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(server_file)
    asking = ssl.create_default_context(cafile=ca_file)
    if strict:
        asking.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(back, there, server_hostname=name)
    server = serving.wrap_bio(there, back, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"


def test_only_its_owner_can_look_into_it(tmp_path: Path) -> None:
    folder = make(tmp_path / "authority").folder
    assert folder.stat().st_mode & 0o777 == 0o700
    secret = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    del secret[".lock"]
    assert secret == dict.fromkeys(secret, 0o600)
    accounts = {"passwords", "passwords.bcrypt", "fleet.password"}
    assert {"ca.key", "ca.pem", "server.pem"} | accounts == set(secret)


def test_opening_it_again_changes_nothing(tmp_path: Path) -> None:
    before = contents(make(tmp_path).folder)
    assert contents(make(tmp_path).folder) == before


@pytest.mark.parametrize("name", sorted(HERE))
def test_its_certificates_stand_up_to_a_strict_client(tmp_path: Path, name: str) -> None:
    authority = make(tmp_path)
    handshake(authority.server_file, authority.ca_file, name)


def test_a_client_notices_another_name_and_another_authority(tmp_path: Path) -> None:
    authority, another = make(tmp_path / "one"), make(tmp_path / "another")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(authority.server_file, authority.ca_file, "elsewhere")
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate"):
        handshake(authority.server_file, another.ca_file, "localhost")


def test_a_board_whose_clock_starts_in_1970_is_let_in(tmp_path: Path) -> None:
    authority = make(tmp_path)
    for file in (authority.ca_file, authority.server_file):
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        assert certificate.not_valid_before_utc == dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def test_a_machine_that_got_another_address_gets_another_certificate(tmp_path: Path) -> None:
    before = contents(make(tmp_path).folder)
    authority = make(tmp_path, names=HERE | {"192.168.1.10"})
    handshake(authority.server_file, authority.ca_file, "192.168.1.10")
    assert contents(tmp_path)["ca.pem"] == before["ca.pem"]
    kept = contents(tmp_path)
    make(tmp_path)
    assert contents(tmp_path) == kept, "one name less is no reason for a new one"


def test_a_name_that_was_added_stays(tmp_path: Path) -> None:
    make(tmp_path).add_names(["Fleet.Example", "10.0.0.7"])
    authority = make(tmp_path, names=HERE | {"192.168.1.10"})
    for name in ("fleet.example", "10.0.0.7"):
        handshake(authority.server_file, authority.ca_file, name)
    assert authority.public_host() == "fleet.example"


@pytest.mark.parametrize("name", ["*.example", "a b", "host:8883", "", "-", "x" * 300, "a..b"])
def test_what_is_no_host_name_is_not_added(tmp_path: Path, name: str) -> None:
    authority = make(tmp_path)
    with pytest.raises(AddressError, match="expected a host name"):
        authority.add_names([name])
    assert authority.given_names() == []


def test_the_brokers_certificate_is_made_anew_a_year_before_its_end(tmp_path: Path) -> None:
    before = contents(make(tmp_path).folder)
    make(tmp_path, now=NOW + dt.timedelta(days=365 * 3))
    assert contents(tmp_path)["server.pem"] == before["server.pem"]
    make(tmp_path, now=NOW + dt.timedelta(days=365 * 4 + 10))
    after = contents(tmp_path)
    assert after["server.pem"] != before["server.pem"]
    assert {**after, "server.pem": b""} == {**before, "server.pem": b""}


def test_a_device_gets_a_password_that_is_written_nowhere(tmp_path: Path) -> None:
    authority = make(tmp_path)
    credentials = authority.enroll("lab", "box")
    assert is_password(credentials.password, authority.accounts()["lab/box"])
    assert credentials.ca_pem == authority.ca_file.read_bytes()
    for name, content in contents(tmp_path).items():
        assert credentials.password.encode() not in content, name
    assert credentials.password not in f"{credentials} {credentials!r} {[credentials]}"


def test_who_is_enrolled_again_gets_another_password(tmp_path: Path) -> None:
    authority = make(tmp_path)
    old = authority.enroll("lab", "box").password
    new = authority.enroll("lab", "box").password
    assert not is_password(old, authority.accounts()["lab/box"])
    assert is_password(new, authority.accounts()["lab/box"])


def test_credentials_hold_once_they_are_accepted_and_the_old_ones_until_then(
    tmp_path: Path,
) -> None:
    authority = make(tmp_path)
    old = authority.enroll("lab", "box")
    new = authority.draft("lab", "box")
    assert is_password(old.password, authority.accounts()["lab/box"])
    authority.accept(new)
    assert is_password(new.password, authority.accounts()["lab/box"])


def test_who_is_revoked_has_no_account(tmp_path: Path) -> None:
    authority = make(tmp_path)
    authority.enroll("lab", "box")
    assert authority.revoke("lab", "box")
    assert set(authority.accounts()) == {"fleet"}
    assert not authority.revoke("lab", "box")


def test_devices_enrolled_at_the_same_time_are_all_enrolled(tmp_path: Path) -> None:
    make(tmp_path)

    def enroll_some(site: str) -> None:
        for number in range(5):
            make(tmp_path).enroll(site, f"box-{number}")

    sites = [threading.Thread(target=enroll_some, args=(f"site-{n}",)) for n in range(4)]
    for thread in sites:
        thread.start()
    for thread in sites:
        thread.join()
    expected = {f"site-{site}/box-{number}" for site in range(4) for number in range(5)}
    assert set(make(tmp_path).accounts()) == expected | {"fleet"}


def test_an_account_that_somebody_added_by_hand_stays(tmp_path: Path) -> None:
    authority = make(tmp_path)
    with authority.accounts_file.open("a") as file:
        file.write("dashboard:$7$101$c2FsdA==$aGFzaA==\n")
    authority.enroll("lab", "box")
    assert set(authority.accounts()) == {"fleet", "lab/box", "dashboard"}


def test_the_fleet_has_an_account_of_its_own_and_gets_another_when_it_is_lost(
    tmp_path: Path,
) -> None:
    authority = make(tmp_path)
    old = authority.fleet_access.password()
    assert is_password(old or "", authority.accounts()["fleet"])
    (tmp_path / "fleet.password").unlink()
    new = make(tmp_path).fleet_access.password()
    assert new != old
    assert is_password(new or "", authority.accounts()["fleet"])


def test_a_devices_files_are_for_its_owner(tmp_path: Path) -> None:
    credentials = make(tmp_path / "authority").enroll("lab", "box")
    ca_file, password_file = write_credentials(credentials, tmp_path / "device")
    assert ca_file.read_bytes() == credentials.ca_pem
    assert password_file.read_text() == f"{credentials.password}\n"
    assert password_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("lost", ["ca.key", "ca.pem"])
def test_half_an_authority_is_not_replaced_by_another(tmp_path: Path, lost: str) -> None:
    make(tmp_path)
    (tmp_path / lost).unlink()
    left = contents(tmp_path)
    with pytest.raises(AuthorityError, match=r"both ca\.pem and ca\.key"):
        make(tmp_path)
    assert contents(tmp_path) == left


@pytest.mark.parametrize("name", ["ca.pem", "server.pem", "passwords"])
def test_a_damaged_file_is_an_error_that_names_the_folder(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).write_bytes(b"\xffnonsense")
    with pytest.raises(AuthorityError, match=str(tmp_path)):
        make(tmp_path, names=HERE | {"another"})


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuthorityError, match="file"):
        make(tmp_path / "file" / "authority")


def test_where_there_is_none_the_message_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(AuthorityMissingError, match="edgewright-fleet enroll"):
        Authority.existing(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_every_account_has_a_bcrypt_hash_of_its_password(tmp_path: Path) -> None:
    authority = make(tmp_path)
    password = authority.enroll("lab", "box").password
    hashes = authority.bcrypt_hashes()
    assert set(hashes) == {"fleet", "lab/box"}
    assert bcrypt.checkpw(password.encode(), hashes["lab/box"].encode())
    fleet_password = authority.fleet_access.password() or ""
    assert bcrypt.checkpw(fleet_password.encode(), hashes["fleet"].encode())


def test_a_new_password_and_a_revocation_reach_the_bcrypt_hashes(tmp_path: Path) -> None:
    authority = make(tmp_path)
    old = authority.enroll("lab", "box").password
    authority.enroll("lab", "box")
    assert not bcrypt.checkpw(old.encode(), authority.bcrypt_hashes()["lab/box"].encode())
    authority.revoke("lab", "box")
    assert set(authority.bcrypt_hashes()) == {"fleet"}


def test_a_bcrypt_hash_beside_another_password_is_none(tmp_path: Path) -> None:
    """A release of before changes the accounts alone."""
    authority = make(tmp_path)
    authority.enroll("lab", "box")
    accounts = dict(authority.accounts()) | {"lab/box": hash_password("another")}
    authority.accounts_file.write_bytes(render_accounts(accounts))
    assert set(authority.bcrypt_hashes()) == {"fleet"}


def test_an_authority_of_before_gets_the_fleets_hash_and_keeps_its_accounts(tmp_path: Path) -> None:
    authority = make(tmp_path)
    authority.enroll("lab", "box")
    (tmp_path / "passwords.bcrypt").unlink()
    before = authority.accounts_file.read_bytes()
    assert set(make(tmp_path).bcrypt_hashes()) == {"fleet"}
    assert authority.accounts_file.read_bytes() == before


def test_the_servers_of_a_cluster_prove_themselves_to_each_other(tmp_path: Path) -> None:
    authority = make(tmp_path)
    certificate = x509.load_pem_x509_certificate(authority.server_file.read_bytes())
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(uses) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_a_server_certificate_of_before_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        uses = [ExtendedKeyUsageOID.SERVER_AUTH]
        before.setattr("fleet.authority.certificates._SERVER_USES", uses)
        authority = make(tmp_path)
    made, ca = authority.server_file.read_bytes(), authority.ca_file.read_bytes()
    make(tmp_path)
    assert authority.server_file.read_bytes() != made
    assert authority.ca_file.read_bytes() == ca
